"""What people look at before they deploy: policies replayed over answers, and what they cost."""

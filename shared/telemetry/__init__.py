"""What an agent lets people see of itself: its log and its metrics."""

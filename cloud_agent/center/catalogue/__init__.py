"""What is known of models before they have answered anything: cards, and the file of them."""

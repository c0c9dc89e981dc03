"""Who is out there: the members of the fleet, what is heard of them, and what they lately did."""

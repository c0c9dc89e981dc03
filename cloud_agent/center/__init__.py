"""The centre of a fleet: who is out there, which models they get, and a page that shows it."""

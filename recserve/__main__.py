"""``python -m recserve``."""

from recserve.cli import main

if __name__ == "__main__":
    main()

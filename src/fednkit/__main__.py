"""The command `fednkit` by its module: python -m fednkit."""

from .cli.main import main

if __name__ == "__main__":
    main()

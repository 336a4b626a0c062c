"""`python -m hsisr` is the `hsisr` program."""

from hsisr.cli.main import program

if __name__ == "__main__":
    program()

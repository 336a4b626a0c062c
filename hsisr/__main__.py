"""`python -m hsisr` is the `hsisr` program."""

from hsisr.cli.main import app

if __name__ == "__main__":
    app()

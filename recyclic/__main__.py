"""`python -m recyclic` is the command `recyclic`."""

from recyclic.cli import main

main()

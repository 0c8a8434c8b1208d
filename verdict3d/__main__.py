"""``python -m verdict3d``: the command line without its console script."""

from verdict3d.cli.main import main

main()

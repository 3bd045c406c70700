"""``python -m worker`` is ``samestory``."""

from worker.cli.main import main

main()

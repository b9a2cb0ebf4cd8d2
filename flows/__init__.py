from pathlib import Path

import tasks  # noqa: F401 - its defaults must hold before Prefect is imported

REPOSITORY = Path(__file__).resolve().parents[1]

"""Set the defaults that must hold before Prefect and torch are imported; the environment wins.

`flows` imports this package first, and every module imports Prefect after the project's own (see
`sections` in pyproject.toml). No stage's key counts this file.
"""

import logging
import os
import warnings

LOGGERS = ("flows", "tasks", "resnext", "reports")
DEFAULTS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # ONNX Runtime reports its use to its maker otherwise
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # never a pickle
    "PREFECT_LOGGING_EXTRA_LOGGERS": ",".join(LOGGERS),
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # lines before and after a run
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",  # else each event that a lost server missed
    # torch's threads that wait soon give their core away: else training beside another busy program
    # is up to ten times slower (docs/benchmarks.md, "Beside another program")
    "GOMP_SPINCOUNT": "1000",
    "TORCH_CPP_LOG_LEVEL": "ERROR",  # else a warning a process that trains, of nothing amiss
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # the first start makes a database
}
for _name, _value in DEFAULTS.items():
    os.environ.setdefault(_name, _value)
# Who can't do without that folder says so in an error.
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory", UserWarning)
for _name in LOGGERS:  # without a level of their own, Prefect forwards warnings alone
    logging.getLogger(_name).setLevel(logging.INFO)
# At a program's end it warns of events that are still on their way, and waits for them anyway.
logging.getLogger("EventsWorker").setLevel(logging.ERROR)

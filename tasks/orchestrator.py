"""The one door to Prefect: what must hold for it everywhere is set here, before it is imported.

Every module takes `flow`, `task` and the rest from here. Settings that the user has made in the
environment win.
"""

import logging
import os
import warnings
from uuid import uuid4

_SETTINGS = {
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "DO_NOT_TRACK": "1",
    "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",  # never a pickle
    "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks,resnext,reports",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # lines before and after a run
    "PREFECT_LOGGING_INTERNAL_LEVEL": "CRITICAL",  # else each event that a lost server missed
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",  # the first start makes a database
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
# Who can't do without that folder says so in an error.
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory", UserWarning)

from prefect import Flow, Task, flow, task  # noqa: E402 - see above
from prefect import runtime as running  # noqa: E402
from prefect.artifacts import (  # noqa: E402
    create_markdown_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.automations import (  # noqa: E402
    Automation,
    CallWebhook,
    ChangeFlowRunState,
    EventTrigger,
    Posture,
    ResourceSpecification,
)
from prefect.blocks.webhook import Webhook  # noqa: E402
from prefect.cache_policies import NO_CACHE  # noqa: E402
from prefect.client.orchestration import SyncPrefectClient, get_client  # noqa: E402
from prefect.client.schemas.actions import WorkPoolCreate  # noqa: E402
from prefect.client.schemas.filters import (  # noqa: E402
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
    WorkPoolFilter,
    WorkPoolFilterName,
)
from prefect.client.schemas.objects import (  # noqa: E402
    ConcurrencyLimitConfig,
    ConcurrencyLimitStrategy,
    FlowRun,
    State,
    StateType,
)
from prefect.client.schemas.schedules import CronSchedule  # noqa: E402
from prefect.context import FlowRunContext, TaskRunContext  # noqa: E402
from prefect.events import emit_event  # noqa: E402
from prefect.exceptions import ObjectAlreadyExists, ObjectNotFound  # noqa: E402
from prefect.schedules import Cron  # noqa: E402
from prefect.settings import (  # noqa: E402
    PREFECT_API_AUTH_STRING,
    PREFECT_API_KEY,
    PREFECT_API_REQUEST_TIMEOUT,
    PREFECT_API_URL,
    PREFECT_CLIENT_MAX_RETRIES,
    PREFECT_FLOWS_HEARTBEAT_FREQUENCY,
    PREFECT_HOME,
    PREFECT_UI_URL,
    get_current_settings,
    temporary_settings,
)
from prefect.states import Cancelled, Cancelling, Completed, Crashed, Failed  # noqa: E402
from prefect.utilities.urls import validate_restricted_url  # noqa: E402

for _name in _SETTINGS["PREFECT_LOGGING_EXTRA_LOGGERS"].split(","):
    logging.getLogger(_name).setLevel(logging.INFO)
# At a program's end it warns of events that are still on their way, and waits for them anyway.
logging.getLogger("EventsWorker").setLevel(logging.ERROR)


def run_id() -> str:
    """Give the id of the flow run that this is; a made-up one outside any."""
    context = FlowRunContext.get()
    return str(context.flow_run.id) if context and context.flow_run else str(uuid4())


__all__ = [
    "NO_CACHE",
    "PREFECT_API_AUTH_STRING",
    "PREFECT_API_KEY",
    "PREFECT_API_REQUEST_TIMEOUT",
    "PREFECT_API_URL",
    "PREFECT_CLIENT_MAX_RETRIES",
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY",
    "PREFECT_HOME",
    "PREFECT_UI_URL",
    "Automation",
    "CallWebhook",
    "Cancelled",
    "Cancelling",
    "ChangeFlowRunState",
    "Completed",
    "ConcurrencyLimitConfig",
    "ConcurrencyLimitStrategy",
    "Crashed",
    "Cron",
    "CronSchedule",
    "EventTrigger",
    "Failed",
    "Flow",
    "FlowRun",
    "FlowRunContext",
    "FlowRunFilter",
    "FlowRunFilterState",
    "FlowRunFilterStateType",
    "ObjectAlreadyExists",
    "ObjectNotFound",
    "Posture",
    "ResourceSpecification",
    "State",
    "StateType",
    "SyncPrefectClient",
    "Task",
    "TaskRunContext",
    "Webhook",
    "WorkPoolCreate",
    "WorkPoolFilter",
    "WorkPoolFilterName",
    "create_markdown_artifact",
    "create_progress_artifact",
    "create_table_artifact",
    "emit_event",
    "flow",
    "get_client",
    "get_current_settings",
    "run_id",
    "running",
    "task",
    "temporary_settings",
    "update_progress_artifact",
    "validate_restricted_url",
]

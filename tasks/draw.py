"""Draw the synthetic demonstration set, for runs that are given no images."""

import logging

from resnext.data import demonstration as demo
from tasks.stage.artifact import Work
from tasks.stage.decorator import stage

log = logging.getLogger(__name__)

IMAGES = "pictures"


@stage(run_name="draw the synthetic demonstration set")
def draw(work: Work, settings: demo.DemoSettings) -> None:
    """Draw class folders of synthetic images below `pictures/`."""
    log.info("drawing images of %d patients (ten seconds or more)", settings.patients)
    demo.draw(work.out / IMAGES, settings, workers=work.workers)

"""Draw the synthetic demonstration set, for runs that are given no pictures."""

from resnext.data import demonstration as demo
from tasks.stage.artifact import Work
from tasks.stage.decorator import stage

PICTURES = "pictures"


@stage(run_name="draw the synthetic demonstration set")
def draw(work: Work, settings: demo.DemoSettings) -> None:
    """Draw class folders of synthetic pictures below `pictures/`."""
    demo.draw(work.out / PICTURES, settings, workers=work.workers)

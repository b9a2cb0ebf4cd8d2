import numpy as np
import pandas as pd

from reports.figures.risk_coverage import plot_risk_coverage
from tests.reports.figures.samples import legend_texts, metrics, points, risk_coverage, texts


def test_the_line_is_the_table_and_the_legend_says_area_and_promise() -> None:
    table = risk_coverage()
    (axes,) = plot_risk_coverage(table, metrics()).axes
    np.testing.assert_allclose(points(axes, 0), table[["coverage", "risk"]].to_numpy())
    assert legend_texts(axes) == [
        "95 % band",
        "test part, area 0.067 (0.040-0.110)",
        "all answered: 20.0\u00a0% wrong",
        "promised: at most 10.0\u00a0%",
    ]
    assert points(axes, 2).tolist() == [[0.6, 0.072]], "what was answered by the promise"


def test_old_metrics_and_a_test_part_without_an_image_are_borne() -> None:
    (axes,) = plot_risk_coverage(risk_coverage(), {"n": 40}).axes
    assert "test part" in legend_texts(axes)
    (said,) = texts(plot_risk_coverage(pd.DataFrame(risk_coverage().head(0)), {}))
    assert "no test image could be evaluated" in said.replace("\n", " ")

"""The figures of success by critic weight plot the stored numbers."""

from __future__ import annotations

from matplotlib.container import ErrorbarContainer

from pwm.analysis.estimates import success_rate
from pwm.analysis.evidence import Evidence
from pwm.figures.success import SERIES, success_figure, variants_figure
from pwm.figures.tables import SUCCESS
from tests.figures.made_up import assert_close


def test_the_notes_setting_has_a_curve_per_series_with_wilson_intervals(evidence: Evidence) -> None:
    figure, (header, *table) = success_figure(evidence)
    assert header == ("series", *SUCCESS)
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == list(SERIES)
    shown = []
    for container, (name, (experiments, *_)) in zip(axes.containers, SERIES.items(), strict=True):
        assert isinstance(container, ErrorbarContainer)
        parts = [evidence.of(experiment) for experiment in experiments]
        weights = [weight for part in parts for weight in part.weights]
        rates = [success_rate(seeds) for part in parts for seeds in part.learned]
        line, _, (bars,) = container.lines
        assert_close(line.get_xdata(), weights, rtol=0.05)  # curves are shifted apart
        assert_close(line.get_ydata(), [rate.rate for rate in rates], rtol=1e-9)
        spans = [segment[:, 1] for segment in bars.get_segments()]
        assert_close(spans, [[rate.low, rate.high] for rate in rates], rtol=1e-9, atol=1e-9)
        shown += [(name, weight, *rate) for weight, rate in zip(weights, rates, strict=True)]
    assert table == shown
    assert {row[2] for row in table} >= {0, 1, 3}  # the weights differ in success


def test_other_settings_have_a_panel_each(evidence: Evidence) -> None:
    figure, (_, *table) = variants_figure(evidence)
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == list(dict.fromkeys(row[0] for row in table))
    timeout = evidence.of("variants").at(stimulus_set="pwm5", timeout=True, baseline="detached")
    rates = [row[5] for row in table if row[:2] == ("pwm5, timeout", "detached")]
    assert_close(rates, timeout.rate(), rtol=1e-9)

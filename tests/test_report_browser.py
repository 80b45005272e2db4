"""The page of a report in headless Chromium: what a reader sees, clicks and types.

Needs Playwright for Python and a Chromium (Debian's `chromium`, or Playwright's own).
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT

import grokmap
from grokmap import report
from grokmap.plot.cells import gather
from grokmap.result.result import Result

pytestmark = pytest.mark.slow
QUICK, REFINED = ROOT / "results/quickstart-reference", ROOT / "results/refined"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
WAIT = 20_000  # ms, on a loaded machine


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    api = pytest.importorskip(
        "playwright.sync_api", reason="no Playwright: pip install playwright"
    )
    with api.sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, CHROMIUM)), None)
        try:
            browser = playwright.chromium.launch(
                executable_path=found, args=["--no-sandbox"]
            )
        except api.Error:
            pytest.skip("no Chromium: apt-get install chromium")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    ramps = ROOT / "results/hysteresis"
    sets = {"quick": [QUICK], "two": [QUICK, REFINED], "ramps": [ramps]}
    return {
        name: report.write([Result(path) for path in paths], folder / f"{name}.html")
        for name, paths in sets.items()
    }


@pytest.fixture
def tab(chromium: Any) -> Iterator[Any]:
    """A tab that fails the test for any error or warning in its console."""
    page = chromium.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(WAIT)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: said.append("dialog"))
    page.on("request", lambda r: r.url.startswith(("file:", "blob:")) or said.append(r))
    yield page
    page.close()
    assert said == []


def opened(tab: Any, file: Path, state: str = "") -> Any:
    tab.goto(file.as_uri() + state)
    tab.wait_for_selector("html[data-ready]")
    return tab


def cells(tab: Any, k: int = 0) -> pd.DataFrame:
    return pd.DataFrame(tab.evaluate(f"grokmap.app.panels[{k}].laid.cells"))


def click_cell(tab: Any, x: float, y: float, k: int = 0, kind: str = "phase") -> None:
    """Clicks the middle of the cell at these values of the axes."""
    box = tab.evaluate(
        """([k, kind, x, y]) => {
          const panel = grokmap.app.panels[k];
          const map = panel.maps.find((each) => each.kind === kind);
          const near = (a, b) => Math.abs(a - b) <= 1e-9 * Math.abs(b);
          const cell = panel.laid.cells.find((c) => near(c.x, x) && near(c.y, y));
          const { drawn, root } = map;
          const point = new DOMPoint(
            drawn.x((cell.x0 + cell.x1) / 2), drawn.y((cell.y0 + cell.y1) / 2)
          ).matrixTransform(root.getScreenCTM());
          return [point.x, point.y];
        }""",
        [k, kind, x, y],
    )
    tab.mouse.click(*box)


def show(tab: Any, **state: Any) -> None:
    tab.evaluate("(hash) => { location.hash = hash }", json.dumps(state))
    tab.wait_for_function(f"() => grokmap.app.state.x === {json.dumps(state['x'])}")


@pytest.mark.parametrize(
    ("path", "x", "y"),
    [
        (QUICK, "weight_decay", "alpha"),
        (QUICK, "alpha", "weight_decay"),
        (QUICK, "decay_rate", "alpha"),
        (QUICK, "alpha", "decay_rate"),
        (REFINED, "weight_decay", "alpha"),
    ],
)
def test_cells_are_those_of_the_figures(
    tab: Any, files: dict[str, Path], path: Path, x: str, y: str
) -> None:
    k = 0 if path == QUICK else 1
    opened(tab, files["two"])
    show(tab, x=x, y=y, colour="t_grok")
    result = grokmap.open(path)
    runs = result.runs
    wanted = gather(runs, result.plane(x, y, runs), "t_grok", ("grok",)).table
    found = cells(tab, k).sort_values(["y", "x"], ignore_index=True)
    wanted = wanted.sort_values(["y", "x"], ignore_index=True)
    names = [p["name"] for p in tab.evaluate(f"grokmap.results[{k}].facts.phases")]
    assert len(found) == len(wanted) > 50
    agreed = wanted["p_grok"] != 0.5  # of a tie, either is the commonest
    assert ([names[n] for n in found["phase"]] == wanted["phase"])[agreed].all()
    for mine, other in (("pGrok", "p_grok"), ("censored", "censored")):
        assert found[mine].tolist() == wanted[other].tolist()
    shade = found["shade"].astype(float)
    np.testing.assert_array_equal(shade.fillna(-1), wanted["shade"].fillna(-1))
    _, _, x_log, y_log = result.plane(x, y, runs)
    for axis, log in (("x", x_log), ("y", y_log)):
        for end, column in (("0", "low"), ("1", "high")):
            values = wanted[f"{axis}_{column}"]
            values = np.log(values) if log else values
            np.testing.assert_allclose(found[axis + end], values, rtol=1e-9, atol=1e-9)


def test_a_click_shows_the_curves_of_the_run(tab: Any, files: dict[str, Path]) -> None:
    runs = grokmap.open(QUICK).runs
    opened(tab, files["quick"])
    run = grokmap.open(QUICK).nearest(alpha=0.2, weight_decay=0.0108)
    row = runs.set_index("run_id").loc[run["run_id"]]
    for kind in ("phase", "quantity"):
        click_cell(tab, run["weight_decay"], run["alpha"], kind=kind)
        tab.wait_for_selector("path.line.front")
        assert tab.inner_text("tr.chosen button") == run["run_id"][:8]
        seeds = tab.locator("#detail tbody tr")
        assert seeds.count() == 2
        for name in ("t_mem", "t_grok"):
            line = tab.locator(f"figure[data-panel=accuracy] path.{name}")
            assert float(line.get_attribute("data-step")) == row[name]
    assert f"{int(row['t_grok']):,}" in tab.inner_text("tr.chosen")
    drawn_as_recorded(tab, run["run_id"])


def drawn_as_recorded(tab: Any, run: str) -> None:
    """The path of the test accuracy goes through the records, in pixels."""
    records = grokmap.open(QUICK).records(["test_accuracy"], [run])
    values = records.set_index("step")["test_accuracy"]
    selector = "path.line.front[data-name=test_accuracy]"
    points = np.array(
        [
            [float(v) for v in point.split()]
            for point in tab.get_attribute(selector, "d")[1:].split("L")
        ]
    )
    frame = tab.locator("figure[data-panel=accuracy] rect.frame")
    left, width = (float(frame.get_attribute(a)) for a in ("x", "width"))
    last = values.index[-1]
    steps = np.exp((points[:, 0] - left) / width * np.log(last))
    near = values.index.to_numpy()
    at = np.abs(np.log(near[1:])[None] - np.log(steps)[:, None]).argmin(axis=1)
    wanted = values.to_numpy()[1:][at]
    scale = np.polyfit(wanted, points[:, 1], 1)
    assert scale[0] < -50  # upwards, over most of the panel
    assert np.abs(np.polyval(scale, wanted) - points[:, 1]).max() < 1.5


def test_a_click_in_the_table_puts_another_seed_in_front(
    tab: Any, files: dict[str, Path], command_line: Any
) -> None:
    opened(tab, files["quick"])
    click_cell(tab, 0.0107721734502, 0.2)
    tab.wait_for_selector("path.line.front")
    tab.locator("#detail tbody button").nth(1).click()
    assert "seed 1" in tab.inner_text("#detail h3 >> nth=0")
    run = grokmap.open(QUICK).runs.query("alpha == 0.2 and seed == 1")
    run = run[np.isclose(run["weight_decay"], 0.0107721734502)].iloc[0]
    code, out, _ = command_line("show", str(QUICK), run["run_id"], "--reproduce")
    assert code == 0 and tab.inner_text("code.command") == out.strip()
    assert tab.evaluate("document.activeElement.innerText") == run["run_id"][:8]


def test_every_command_is_that_of_show(tab: Any, files: dict[str, Path]) -> None:
    from grokmap.result import again

    opened(tab, files["quick"])
    result = grokmap.open(QUICK)
    parts = again.frame(result.path, result.spec)
    lines = tab.evaluate(
        "[...Array(140).keys()].map((i) => grokmap.commandOf(grokmap.results[0], i))"
    )
    for (_, run), line in zip(result.plan.iterrows(), lines, strict=True):
        words = [again.setting(k, run[k]) for k in ("alpha", "weight_decay", "seed")]
        assert line == again.command(parts, words, 317, run["run_id"])


def test_the_keyboard_alone(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["quick"])
    for _ in range(20):
        tab.keyboard.press("Tab")
        if tab.evaluate("document.activeElement.classList.contains('map')"):
            break
    outline = "getComputedStyle(document.activeElement).outlineStyle"
    assert tab.evaluate(outline) == "solid"
    first = tab.inner_text("#status")
    assert "α = 0, weight decay λ = 0.0005" in first
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "ArrowLeft"):
        tab.keyboard.press(key)
    assert "α = 0.1, weight decay λ = 0.00107722" in tab.inner_text("#status")
    tab.keyboard.press("Enter")
    tab.wait_for_selector("path.line.front")
    assert "α = 0.1, weight decay λ = 0.00107722" in tab.inner_text("#detail h2")
    assert tab.evaluate("document.activeElement.classList.contains('map')")
    tab.keyboard.press("Escape")
    assert tab.locator("#detail h2").count() == 0
    for _ in range(12):
        tab.keyboard.press("ArrowLeft")  # no further than the end
    assert "weight decay λ = 0.0005" in tab.inner_text("#status")


def test_a_phase_that_is_dimmed_is_dimmed_everywhere(
    tab: Any, files: dict[str, Path]
) -> None:
    opened(tab, files["two"])
    fills = "(k) => [...document.querySelectorAll('svg.map path.cell')].map((p) => p.getAttribute('fill'))"  # noqa: E501
    before = tab.evaluate(fills, 0)
    assert before.count("#e69f00") + before.count("#E69F00") == 2
    button = tab.locator("#legend button[data-phase=memorize-only]")
    button.focus()
    tab.keyboard.press("Space")
    after = tab.evaluate(fills, 0)
    assert after.count("#e69f00") + after.count("#E69F00") == 0
    assert button.get_attribute("aria-pressed") == "false"
    assert tab.evaluate("document.activeElement.dataset.phase") == "memorize-only"
    # A cell of both phases: the seed that memorised has no curve now, and a dim row.
    half = grokmap.open(QUICK).runs.groupby(["weight_decay", "alpha"])["phase"]
    (mixed, *_) = (p for p, k in half if {"memorize-only", "grok"} == set(k))
    click_cell(tab, *mixed)
    tab.wait_for_selector("path.line.front")
    assert tab.locator("tr.off").count() == 1
    drawn = "figure[data-panel=loss] path.line.test"
    assert tab.locator(drawn).count() == 1
    button.click()
    assert tab.locator(drawn).count() == 2
    assert tab.evaluate(fills, 0) == before


def test_each_phase_has_a_mark_of_its_own(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["quick"])
    marks = tab.locator("#legend .swatch .mark")
    shapes = [marks.nth(k).get_attribute("d") for k in range(marks.count())]
    assert len(set(shapes)) == len(shapes) == 3
    in_map = tab.locator("svg.map[data-kind=phase] path.mark").count()
    assert in_map >= 3


def test_the_state_stands_in_the_address(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["quick"])
    tab.select_option("#x", "alpha")
    assert tab.evaluate("document.activeElement.id") in ("", "x")
    tab.select_option("#colour", "rqi")
    click_cell(tab, 0.3, 0.05)
    tab.wait_for_selector("path.line.front")
    tab.locator("input[data-show=gini]").check()
    tab.wait_for_selector("figure[data-panel=gini]")
    state, heading = tab.evaluate("location.hash"), tab.inner_text("#detail h2")
    tab.reload()
    tab.wait_for_selector("figure[data-panel=gini] path.line.front")
    assert tab.evaluate("location.hash") == state
    assert tab.inner_text("#detail h2") == heading
    plane = tab.evaluate("grokmap.app.panels[0].plane")
    assert plane == {"x": "alpha", "y": "weight_decay"}


@pytest.mark.parametrize("state", ["#%7B", "#null", "#{}", "#x", '#{"at":3,"run":[9]}'])
def test_an_address_that_makes_no_sense_is_left_aside(
    tab: Any, files: dict[str, Path], state: str
) -> None:
    opened(tab, files["quick"], state)
    assert len(cells(tab)) == 70


def test_other_axes_have_sliders(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["ramps"])
    slider = tab.locator(".places input[type=range]").first
    name = slider.get_attribute("id").removeprefix("at-0-")
    seen = set()
    slider.focus()
    for _ in range(int(slider.get_attribute("max")) + 1):
        seen.add(tab.inner_text(".places output"))
        runs = sum(cells(tab)["runs"].tolist(), [])
        code = f"grokmap.results[0].column('axis:{name}')"
        places = {tab.evaluate(f"{code}[{i}]") for i in runs[:20]}
        assert places == {float(slider.input_value())}
        tab.keyboard.press("ArrowRight")
    axis = grokmap.open(ROOT / "results/hysteresis").axis(name)
    assert len(seen) == len(axis.values) > 1


def test_results_stand_side_by_side(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["two"])
    one, two = (tab.locator("article").nth(k).bounding_box() for k in (0, 1))
    assert one["y"] == two["y"] and one["x"] + one["width"] <= two["x"]
    widths = {
        round(tab.locator(f"svg.map[data-kind={k}] rect.frame >> nth={n}").bounding_box()["width"])  # noqa: E501
        for k in ("phase", "quantity")
        for n in (0, 1)
    }  # fmt: skip
    assert max(widths) - min(widths) <= 2


def test_edges_are_drawn_where_they_are(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["quick"])
    table = grokmap.open(QUICK).boundaries(budget=False)
    measured = table[table["estimate"].notna()]
    points = tab.locator("svg.map[data-kind=phase] circle.edge")
    assert points.count() == len(measured)
    at = "(v) => { const p = grokmap.app.panels[0]; return p.maps[0].drawn.x(Math.log(v)) }"  # noqa: E501
    for k, value in enumerate(measured["estimate"]):
        assert float(points.nth(k).get_attribute("cx")) == pytest.approx(
            tab.evaluate(at, value)
        )


def test_sliders_move_through_edges_over_several_axes(tab: Any, tmp_path: Path) -> None:
    over = ("alpha", "weight_decay", "width")
    result = Result(ROOT / "results/widths")
    opened(tab, result.report(tmp_path / "over.html", over=over))
    slider = tab.locator("figure.over input")
    assert slider.get_attribute("aria-valuetext") == "128"
    edges = result.surface(over).query("edge == 'max' and status == 'measured'")
    for key, width in (("Home", 64), ("End", 256)):
        slider.press(key)
        assert slider.get_attribute("aria-valuetext") == str(width)
        assert tab.evaluate("document.activeElement.id") == "over-0-width"
        lines = pieces(tab.locator("figure.over path.level").get_attribute("d"))
        for edge in edges[edges["width"] == width].to_dict("records"):
            at = (pixels(tab, "x", edge["estimate"]), pixels(tab, "y", edge["alpha"]))
            apart = np.abs(lines - np.array(at)).sum(axis=1)
            assert apart.min() < 14, edge  # a square of the grid is 8 by 9
    near = tab.locator("figure.over circle.run").count()
    assert near == len(result.runs[result.runs["width"] == 256])
    tab.reload()
    tab.wait_for_selector("html[data-ready]")
    assert slider.get_attribute("aria-valuetext") == "256"


def pieces(path: str) -> Any:
    """[n, 2] the ends of the pieces of a line."""
    return np.array(re.findall(r"[ML]([\d.]+) ([\d.]+)", path), float)


def pixels(tab: Any, axis: str, value: float) -> float:
    """Where a value stands: the planes have the frame and the ends of their axes."""
    facts = tab.evaluate("grokmap.app.results[0].facts.surface")[axis]
    low, high = facts["values"][0], facts["values"][-1]
    frame = tab.locator("figure.over rect.frame")
    x, y, wide, tall = (
        float(frame.get_attribute(k)) for k in ("x", "y", "width", "height")
    )
    if axis == "x":
        return x + wide * float(np.log(value / low) / np.log(high / low))
    return y + tall * (1 - (value - low) / (high - low))


def test_live_pages_load_themselves_again(tab: Any, tmp_path: Path) -> None:
    file = report.write([Result(QUICK)], tmp_path / "live.html", live=1.5)
    opened(tab, file)
    tab.select_option("#colour", "snr")
    tab.evaluate("() => { window.before = true }")
    tab.wait_for_function("() => window.before === undefined && window.grokmap")
    assert tab.evaluate("grokmap.app.state.colour") == "snr"
    report.write([Result(QUICK)], file)  # the last one, which stays
    tab.wait_for_function("() => window.grokmap && !grokmap.app.live")


def test_old_browsers_are_told(tab: Any, files: dict[str, Path]) -> None:
    tab.add_init_script("delete window.DecompressionStream")
    tab.goto(files["quick"].as_uri())
    tab.wait_for_selector("#problem:not([hidden])")
    assert "DecompressionStream" in tab.inner_text("#problem")
    assert "140 of 140 runs done" in tab.inner_text("#summary")


def test_nasty_names_are_only_text(tab: Any, tmp_path: Path) -> None:
    path = tmp_path / "a<" / "script><img src=x onerror=alert(1)>"
    shutil.copytree(QUICK, path)
    opened(tab, report.write([Result(path)], tmp_path / "nasty.html"))
    click_cell(tab, 0.0107721734502, 0.2)
    tab.wait_for_selector("path.line.front")
    tab.locator("summary", has_text="Settings").click()
    assert str(path) in tab.inner_text("dl.settings >> nth=0")
    assert tab.locator("img").count() == 0


def test_print_leaves_the_controls_out(tab: Any, files: dict[str, Path]) -> None:
    opened(tab, files["quick"])
    tab.emulate_media(media="print")
    assert not tab.locator("#controls").is_visible()
    assert tab.locator("svg.map").first.is_visible()
    assert tab.locator("#legend").is_visible()

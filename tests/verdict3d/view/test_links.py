from __future__ import annotations

import html
import re

from markupsafe import Markup

from support.rows import filled
from verdict3d.records.certificates import Certificate
from verdict3d.records.comparisons import Colours, Comparison, Duel
from verdict3d.records.numbers import Decisive, Summary
from verdict3d.records.results import JudgeUsed
from verdict3d.view.comparison import render_comparison
from verdict3d.view.links import PairLinks, filter_control
from verdict3d.view.pairs.query import parse_query
from verdict3d.view.words import NONE, say_number


def test_a_number_leads_to_the_pairs_that_its_filters_leave() -> None:
    link = PairLinks("index.html")("0.66", place="evaluate", arm="a & b", outcome=["win", "loss"], regime=[])
    address = Markup(link.split('"')[3]).unescape()
    assert link.endswith(">0.66</a>")
    query = parse_query(address.partition("#/?")[2])
    assert query.choices == {"place": ("evaluate",), "arm": ("a & b",), "outcome": ("win", "loss")}


def test_without_a_page_of_pairs_numbers_stay_and_text_is_escaped() -> None:
    assert PairLinks()("<b>", place="evaluate") == "&lt;b&gt;"
    assert "<b>" not in PairLinks("index.html")("<b>")
    assert PairLinks("index.html")(say_number(None)) == NONE, "there is nothing to lead to"


def test_lines_of_an_audit_lead_to_what_they_are_of() -> None:
    curves = dict.fromkeys(("all", "bent", "dented", "floaters"))
    judge = filled(
        Certificate, judge=filled(JudgeUsed, panel="two_sheets"), taught=["bent", "fog"], curves=curves
    )
    clear = {
        **{"place": "audit", "judge": "training", "control": "ladder"},
        **{"panel": "two_sheets", "grade": "4.."},
    }
    assert filter_control("training", "clear_gap", judge) == clear
    assert filter_control("training", "untaught_gap", judge) == {**clear, "defect": ["dented", "floaters"]}
    assert "control" not in filter_control("training", "generated", judge)
    assert filter_control("training", "position", judge)["place"] == "certify"
    assert filter_control("training", "position", judge)["control"] == "base_vs_base"
    assert "panel" not in filter_control("training", "reference_removed", judge)


def test_numbers_of_a_comparison_lead_to_their_pairs() -> None:
    counted = filled(Summary, decisive=filled(Decisive, wins=5, losses=2), pairs=9)
    duel = filled(Duel, x="june", y="july", summary=counted, by_tag={"wood": counted})
    colours = filled(Colours, duels=[filled(Duel, x="june", y="july", summary=filled(Summary, pairs=4))])
    comparison = filled(Comparison, duels=[duel], colours=colours)
    page = html.unescape(render_comparison(comparison, [], [], "page", "http://127.0.0.1:7373/"))
    links = re.findall(r'class="pairs" href="http://127.0.0.1:7373/#/\?([^"]*)">(\d+)<', page)
    found = [(parse_query(query).choices, int(number)) for query, number in links]
    here = {"place": ("compare",), "group": ("page",), "arm": ("june",), "against": ("july",)}
    assert ({**here, "outcome": ("win",)}, 5) in found and (here, 9) in found
    assert ({**here, "category": ("wood",), "outcome": ("loss",)}, 2) in found
    assert ({**here, "place": ("compare_texture",)}, 4) in found
    assert "127.0.0.1" not in render_comparison(comparison, [], [])

"""The report of a day's quality as one HTML page that needs nothing else. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from undertow.storage.quality import SHOWN, SILENCE_NS, Quality

_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --good: #18794e; --bad: #c4320a; --cell: 24, 121, 78; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 75rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .25rem 0; } .quiet { opacity: .7; }
.tiles { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; }
.tile { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .9rem; min-width: 7.5rem; }
.tile b { display: block; font-size: 1.4rem; font-variant-numeric: tabular-nums; }
.good b { color: var(--good); } .bad b { color: var(--bad); }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .55rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, td.text, th.text { text-align: left; }
.hours td, .hours th { padding: .15rem .3rem; font-size: .8rem; }
.hours td.none { color: var(--bad); }
"""


def page(quality: Quality) -> str:
    """Give the page."""
    title = f"Data quality of {quality.day:%Y-%m-%d}"
    verdict = (
        "nothing is missing, doubled, silent or crossed" if not quality.findings else f"{quality.findings:,} findings"
    )
    body = [
        f"<h1>{title}</h1>",
        f'<p>{escape(verdict)} in {quality.rows:,} rows</p><p class="quiet">{escape(quality.address)} · UTC, by the time of the event</p>',
        _tiles(quality),
        *_findings(quality),
        _hours(quality),
        _latencies(quality),
    ]
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body>\n{chr(10).join(body)}\n</body></html>\n"
    )


def _tiles(quality: Quality) -> str:
    numbers = (
        ("rows missing", quality.missing),
        ("duplicates", quality.duplicates + quality.repeated_trades),
        ("silences", len(quality.silences)),
        ("crossed books", len(quality.crossed)),
        ("book gaps", sum(quality.gaps.values())),
        ("feed suspicions", sum(quality.suspicions.values())),
    )
    tiles = "".join(
        f'<div class="tile {"bad" if number else "good"}"><b>{number:,}</b>{name}</div>' for name, number in numbers
    )
    return f'<div class="tiles">{tiles}</div>'


def _findings(quality: Quality) -> Iterable[str]:
    if quality.holes:
        yield _table(
            "Missing rows",
            "Jumps in a producer's numbers that no stored day fills.",
            ("stream", "producer", "first", "last", "missing"),
            [(h.stream_key, h.producer, f"{h.first:,}", f"{h.last:,}", f"{h.missing:,}") for h in quality.holes],
            text=2,
        )
    if quality.duplicates or quality.repeated_trades:
        yield _table(
            "Duplicates",
            "Rows of the same stream, producer and number, and trades of the venue told twice.",
            ("kind", "rows"),
            [("same number", f"{quality.duplicates:,}"), ("same trade id", f"{quality.repeated_trades:,}")],
        )
    if quality.silences:
        yield _table(
            "Silences",
            f"Longer than {SILENCE_NS // 10**9} s between two rows, by receive time.",
            ("topic", "symbol", "from", "seconds"),
            [(s.topic, s.symbol, _time(s.begin_ns), f"{s.seconds:,.0f}") for s in quality.silences],
            text=2,
        )
    if quality.crossed:
        yield _table(
            "Crossed books",
            "The best bid was not below the best ask, and for how many stored updates.",
            ("symbol", "from", "updates"),
            [(each.symbol, _time(each.begin_ns), f"{each.updates:,}") for each in quality.crossed],
        )
    if quality.gaps:
        yield _table(
            "Book gaps",
            "Times the ingestor could no longer trust a book, and took it anew.",
            ("symbol", "reason", "times"),
            [(symbol, reason, f"{times:,}") for (symbol, reason), times in quality.gaps.items()],
            text=2,
        )
    if quality.suspicions:
        yield _table(
            "Liquidation feed suspected",
            "By the ingestor's monitor.",
            ("symbol", "fault", "times"),
            [(symbol, fault, f"{times:,}") for (symbol, fault), times in quality.suspicions.items()],
            text=2,
        )


def _hours(quality: Quality) -> str:
    places = sorted({(topic, symbol) for topic, symbol, _ in quality.counts})
    head = "".join(f"<th>{hour:02}</th>" for hour in range(24))
    rows = []
    for topic, symbol in places:
        counts = [quality.counts.get((topic, symbol, hour), 0) for hour in range(24)]
        most = max(counts)
        cells = "".join(
            f'<td style="background: rgba(var(--cell), {0.1 + 0.5 * count / most:.2f})">{_short(count)}</td>'
            if count
            else "<td></td>"
            for count in counts
        )
        rows.append(
            f'<tr><td>{escape(topic)}</td><td class="text">{escape(symbol)}</td>{cells}<td>{sum(counts):,}</td></tr>'
        )
    return (
        '<h2>Rows by hour</h2><p class="quiet">Darker: more, within its line.</p><div class="wide"><table class="hours">'
        f'<tr><th>topic</th><th class="text">symbol</th>{head}<th>day</th></tr>{"".join(rows)}</table></div>'
    )


def _latencies(quality: Quality) -> str:
    return _table(
        "Latency, ms",
        "From the event to the fleet's receipt; and within the fleet, from the frame to its last publication.",
        ("topic", "p50", "p99", "most", "within, p99"),
        [
            (
                each.topic,
                *(f"{ms:,.1f}" for ms in (each.p50, each.p99, each.most)),
                "" if each.inside_p99 is None else f"{each.inside_p99:,.1f}",
            )
            for each in quality.latencies
        ],
    )


def _table(title: str, about: str, names: Sequence[str], rows: Sequence[Sequence[Any]], text: int = 1) -> str:
    def line(tag: str, cells: Sequence[Any]) -> str:
        parts = (
            f"<{tag}{' class=text' if at < text else ''}>{escape(str(cell))}</{tag}>" for at, cell in enumerate(cells)
        )
        return f"<tr>{''.join(parts)}</tr>"

    more = f'<p class="quiet">and {len(rows) - SHOWN:,} more</p>' if len(rows) > SHOWN else ""
    lines = line("th", names) + "".join(line("td", row) for row in rows[:SHOWN])
    return f'<h2>{escape(title)}</h2><p class="quiet">{escape(about)}</p><div class="wide"><table>{lines}</table></div>{more}'


def _short(count: int) -> str:
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.{0 if count >= 10 * size else 1}f}{unit}"
    return str(count)


def _time(at_ns: int) -> str:
    return f"{datetime.fromtimestamp(at_ns / 1e9, UTC):%H:%M:%S}"

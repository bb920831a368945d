"""A report as one HTML file that needs nothing else: words, tables, pictures inside."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

from tnsim.io.atomic import replace_file

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #22303c; margin: 2rem auto; max-width: 72rem; padding: 0 1rem }
h1 { font-size: 1.5rem; margin-bottom: .2rem } h2 { font-size: 1.1rem; margin-top: 2rem }
p.lead { color: #1f6f8b; font-size: 1.1rem; margin-top: 0 }
.wide { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 13px }
th { text-align: left; border-bottom: 2px solid #1f6f8b; padding: .3rem .7rem }
td { border-bottom: 1px solid #dfe6ea; padding: .25rem .7rem; vertical-align: top }
td.number { text-align: right } dt { font-weight: 600 } dd { margin: 0 0 .4rem 0; word-break: break-all }
img { max-width: 100%; height: auto }
"""


@dataclass(frozen=True, kw_only=True)
class Section:
    """A table with its title; an empty one is left out."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = field(repr=False)


def html_report(
    title: str,
    lead: str,
    facts: Mapping[str, Any],
    sections: Sequence[Section],
    figures: Mapping[str, Any] | None = None,
) -> str:
    """The page. figures: matplotlib figures by title; all words are escaped."""
    parts = [f"<h1>{escape(title)}</h1><p class='lead'>{escape(lead)}</p>"]
    for name, figure in (figures or {}).items():
        parts.append(f"<h2>{escape(name)}</h2><img alt='{escape(name)}' src='{_picture(figure)}'>")
    parts += [_table(section) for section in sections if section.rows]
    listed = "".join(f"<dt>{escape(str(k))}</dt><dd>{escape(str(v))}</dd>" for k, v in facts.items())
    parts.append(f"<h2>File</h2><dl>{listed}</dl>")
    body = "\n".join(parts)
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{escape(title)}</title>"
    return (
        f"<!doctype html>\n<html lang='en'><head>{head}<style>{_STYLE}</style></head>\n<body>\n{body}\n</body></html>\n"
    )


def write_text(path: Path, text: str) -> Path:
    """In one piece or not at all."""
    data = text.encode()
    replace_file(path, lambda temporary: _write(temporary, data), size=len(data))
    return path


def _write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def _table(section: Section) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in section.columns)
    rows = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in section.rows)
    return f"<h2>{escape(section.title)}</h2><div class='wide'><table><tr>{head}</tr>{rows}</table></div>"


def _cell(word: str) -> str:
    is_number = word.strip("+-.e0123456789%x") == "" and word != ""
    return f"<td class='number'>{escape(word)}</td>" if is_number else f"<td>{escape(word)}</td>"


def _picture(figure: Any) -> str:
    stream = BytesIO()
    figure.savefig(stream, format="png")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"

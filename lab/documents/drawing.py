"""Draws boxes and arrows as SVG, readable on light and dark pages, without a font or file from elsewhere."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape

STYLE = """
  .page { fill: #fbfbf9 } .box { fill: #e8f1f0; stroke: #2a7f79 } .other { fill: #f4ede1; stroke: #a5772a }
  .plain { fill: #eeeeec; stroke: #77777a }
  text { fill: #22262b; font: 14px system-ui, sans-serif; text-anchor: middle }
  .small { font-size: 12px; fill: #4c545d } .line { stroke: #59616b; fill: none; stroke-width: 1.6 }
  .dashed { stroke-dasharray: 5 4 } .head { fill: #59616b }
  @media (prefers-color-scheme: dark) {
    .page { fill: #1c2026 } .box { fill: #173836; stroke: #55b3ac } .other { fill: #3b2f1a; stroke: #d0a45a }
    .plain { fill: #2b3038; stroke: #8b929b } text { fill: #e9ecef } .small { fill: #b9c1ca }
    .line { stroke: #a4adb8 } .head { fill: #a4adb8 }
  }
"""
MARKER = (
    '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'orient="auto-start-reverse">'
    '<path class="head" d="M0 0 8 4 0 8z"/></marker>'
)
LINE_HEIGHT = 18


@dataclass
class Drawing:
    """A picture with a title for those who cannot see it."""

    width: int
    height: int
    title: str
    parts: list[str] = field(default_factory=list)

    def box(
        self, x: int, y: int, title: str, *lines: str, kind: str = "box", size: tuple[int, int] = (150, 64)
    ) -> None:
        """Draws a box around (x, y) with a title and smaller lines."""
        width, height = size
        corner = f'x="{x - width // 2}" y="{y - height // 2}"'
        self.parts.append(f'<rect class="{kind}" {corner} width="{width}" height="{height}" rx="8"/>')
        top = y - len(lines) * LINE_HEIGHT // 2 + 5
        self.text(x, top, title)
        for number, line in enumerate(lines, 1):
            self.text(x, top + number * LINE_HEIGHT, line, kind="small")

    def text(self, x: int, y: int, text: str, kind: str = "") -> None:
        """Writes a line around x."""
        self.parts.append(f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>')

    def arrow(self, *points: tuple[int, int], dashed: bool = False, both: bool = False) -> None:
        """Draws a line through points, with a head at its end, or at both ends."""
        path = "M" + " L".join(f"{x} {y}" for x, y in points)
        style = "line dashed" if dashed else "line"
        start = ' marker-start="url(#head)"' if both else ""
        self.parts.append(f'<path class="{style}" d="{path}" marker-end="url(#head)"{start}/>')

    def svg(self) -> str:
        """Returns the file."""
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width} {self.height}" role="img" '
            f'aria-label="{escape(self.title)}">'
        )
        page = f'<rect class="page" width="{self.width}" height="{self.height}" rx="10"/>'
        return "\n".join(
            (head, f"<style>{STYLE}</style>", f"<defs>{MARKER}</defs>", page, *self.parts, "</svg>\n")
        )

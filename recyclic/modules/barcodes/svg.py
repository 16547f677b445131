"""Draws one label as SVG."""

from __future__ import annotations

from xml.etree.ElementTree import Element, SubElement, tostring

from recyclic.modules.barcodes.face import HEIGHT, WIDTH, Item, compose, points_to_mm
from recyclic.modules.barcodes.sheet import Paper


def label_svg(item: Item) -> str:
    """Return the label of `item` as an SVG document in its real size; every text is escaped."""
    with Paper() as paper:
        face = compose(item, paper.measure)
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "width": f"{WIDTH:g}mm",
            "height": f"{HEIGHT:g}mm",
            "viewBox": f"0 0 {WIDTH:g} {HEIGHT:g}",
            "role": "img",
        },
    )
    SubElement(root, "title").text = f"{item.label} {item.code}"
    SubElement(root, "rect", {"width": "100%", "height": "100%", "fill": "#fff"})
    SubElement(
        root,
        "path",
        {
            "fill": "#000",
            "d": "".join(f"M{b.x:.3f} {b.y:.3f}h{b.width:.3f}v{b.height:.3f}h-{b.width:.3f}z" for b in face.bars),
        },
    )
    for text in face.texts:
        attributes = {
            "x": f"{text.x:.3f}",
            "y": f"{text.y:.3f}",
            "font-family": "Helvetica, Arial, sans-serif",
            "font-size": f"{points_to_mm(text.points):.3f}",
            "font-weight": "bold" if text.bold else "normal",
            "text-anchor": text.anchor,
        }
        SubElement(root, "text", attributes).text = text.text
    return tostring(root, encoding="unicode", xml_declaration=False)

"""Renders a scene as a camera would record it."""

from __future__ import annotations

import io
import math

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont

from lab.scenes.scene import GRID, Gauge, Plate, Scene, Sign, Thing

SIZE = 256
CELL = SIZE // GRID
INK = {
    "red": (205, 40, 40),
    "green": (40, 150, 60),
    "blue": (45, 80, 205),
    "yellow": (235, 210, 50),
    "purple": (140, 50, 165),
    "orange": (240, 135, 30),
    "white": (245, 245, 245),
    "black": (25, 25, 25),
}
Point = tuple[float, float]


def render(scene: Scene, size: int = SIZE) -> Image.Image:
    """Returns the scene as an RGB square of `size` pixels, with the effect of the camera's fault."""
    rng = np.random.default_rng(scene.seed)
    image = _background(rng)
    for thing in scene.things:
        _draw_thing(image, thing, rng)
    pen = ImageDraw.Draw(image)
    if scene.gauge:
        _draw_gauge(pen, scene.gauge)
    if scene.plate:
        _draw_plate(pen, scene.plate)
    if scene.sign:
        _draw_sign(pen, scene.sign)
    image = _apply_fault(image, scene, rng)
    return image if size == SIZE else image.resize((size, size), Image.Resampling.BICUBIC, reducing_gap=2.0)


def _background(rng: np.random.Generator) -> Image.Image:
    corners = rng.integers(90, 190, size=(2, 2, 3)).astype(np.uint8)
    image = Image.fromarray(corners, "RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(0, 9))):
        x, y = rng.integers(0, SIZE, size=2)
        w, h = rng.integers(10, 110, size=2)
        tint = tuple(int(v) for v in rng.integers(80, 200, size=3))
        if rng.random() < 0.5:
            pen.line((int(x), int(y), int(x + w), int(y + h)), fill=tint, width=int(rng.integers(1, 4)))
        else:
            pen.rectangle((int(x), int(y), int(x + w), int(y + h)), outline=tint, width=2)
    return image


def _draw_thing(image: Image.Image, thing: Thing, rng: np.random.Generator) -> None:
    radius = (0.42 if thing.large else 0.25) * CELL
    margin = CELL / 2 - radius - 2
    dx, dy = rng.uniform(-margin, margin, size=2) if margin > 0 else (0.0, 0.0)
    x = (thing.column + 0.5) * CELL + dx
    y = (thing.row + 0.5) * CELL + dy
    mask = Image.new("L", (CELL, CELL), 0)
    _shape(ImageDraw.Draw(mask), thing.shape, CELL / 2, CELL / 2, radius)
    ink = INK[thing.colour]
    fill = Image.new("RGB", (CELL, CELL), ink)
    if thing.texture != "plain":
        _texture(ImageDraw.Draw(fill), thing.texture, _texture_ink(ink))
    edge = mask.filter(ImageFilter.MaxFilter(5))
    at = (round(x - CELL / 2), round(y - CELL / 2))
    image.paste((90, 90, 90) if thing.colour == "black" else (20, 20, 20), at, edge)
    image.paste(fill, at, mask)


def _texture_ink(ink: tuple[int, int, int]) -> tuple[int, int, int]:
    dark = sum(ink) < 200
    return tuple(min(255, v + 130) if dark else int(v * 0.45) for v in ink)  # type: ignore[return-value]


def _texture(pen: ImageDraw.ImageDraw, texture: str, ink: tuple[int, int, int]) -> None:
    if texture == "striped":
        for x in range(-CELL, CELL, 12):
            pen.line((x, 0, x + CELL, CELL), fill=ink, width=4)
        return
    for x in range(4, CELL, 11):
        for y in range(4, CELL, 11):
            pen.ellipse((x - 3, y - 3, x + 2, y + 2), fill=ink)


def _polygon(x: float, y: float, radius: float, points: int, turn: float, inner: float = 1.0) -> list[Point]:
    step = math.tau / points
    radii = (radius, radius * inner)
    return [
        (x + radii[i % 2] * math.cos(turn + i * step), y + radii[i % 2] * math.sin(turn + i * step))
        for i in range(points)
    ]


def _shape(pen: ImageDraw.ImageDraw, shape: str, x: float, y: float, radius: float) -> None:
    box = (x - radius, y - radius, x + radius, y + radius)
    match shape:
        case "circle":
            pen.ellipse(box, fill=255)
        case "ring":
            pen.ellipse(box, outline=255, width=max(4, int(radius * 0.38)))
        case "square":
            small = radius * 0.86
            pen.rectangle((x - small, y - small, x + small, y + small), fill=255)
        case "triangle":
            pen.polygon(_polygon(x, y + radius * 0.15, radius * 1.1, 3, -math.pi / 2), fill=255)
        case "diamond":
            pen.polygon(
                [(x, y - radius), (x + radius * 0.7, y), (x, y + radius), (x - radius * 0.7, y)], fill=255
            )
        case "star":
            pen.polygon(_polygon(x, y, radius * 1.08, 10, -math.pi / 2, 0.42), fill=255)
        case "cross":
            arm = radius * 0.34
            pen.rectangle((x - radius, y - arm, x + radius, y + arm), fill=255)
            pen.rectangle((x - arm, y - radius, x + arm, y + radius), fill=255)


def _draw_plate(pen: ImageDraw.ImageDraw, plate: Plate) -> None:
    x, y = plate.column * CELL, plate.row * CELL
    pen.rectangle(
        (x + 4, y + 6, x + 2 * CELL - 5, y + CELL - 7), fill=(250, 250, 240), outline=(30, 30, 30), width=2
    )
    font = ImageFont.load_default(46)
    pen.text((x + CELL, y + CELL / 2), plate.text.upper(), fill=(15, 15, 15), font=font, anchor="mm")


def _draw_gauge(pen: ImageDraw.ImageDraw, gauge: Gauge) -> None:
    x, y = (gauge.column + 1) * CELL, (gauge.row + 1) * CELL
    radius = CELL - 6
    pen.ellipse(
        (x - radius, y - radius, x + radius, y + radius), fill=(250, 250, 250), outline=(20, 20, 20), width=4
    )
    font = ImageFont.load_default(20)
    for value in range(10):
        angle = _gauge_angle(value)
        cos, sin = math.cos(angle), math.sin(angle)
        pen.text(
            (x + radius * 0.76 * cos, y + radius * 0.76 * sin),
            str(value),
            fill=(20, 20, 20),
            font=font,
            anchor="mm",
        )
    angle = _gauge_angle(gauge.value)
    tip = (x + radius * 0.58 * math.cos(angle), y + radius * 0.58 * math.sin(angle))
    pen.line((x, y, *tip), fill=(200, 20, 20), width=6)
    pen.ellipse((x - 6, y - 6, x + 6, y + 6), fill=(20, 20, 20))


def _gauge_angle(value: int) -> float:
    return math.radians(135 + 30 * value)


def _draw_sign(pen: ImageDraw.ImageDraw, sign: Sign) -> None:
    x, y, radius = (sign.column + 0.5) * CELL, (sign.row + 0.5) * CELL, CELL * 0.44
    match sign.kind:
        case "stop":
            pen.polygon(_polygon(x, y, radius, 8, math.pi / 8), fill=(190, 20, 20), outline=(255, 255, 255))
            pen.rectangle((x - radius * 0.6, y - 4, x + radius * 0.6, y + 4), fill=(255, 255, 255))
        case "warning":
            pen.polygon(
                _polygon(x, y + 5, radius * 1.1, 3, -math.pi / 2), fill=(250, 215, 40), outline=(20, 20, 20)
            )
            pen.rectangle((x - 2, y - 12, x + 3, y + 6), fill=(20, 20, 20))
            pen.rectangle((x - 2, y + 10, x + 3, y + 15), fill=(20, 20, 20))
        case _:
            side = 1 if sign.kind == "right" else -1
            pen.ellipse(
                (x - radius, y - radius, x + radius, y + radius),
                fill=(30, 70, 180),
                outline=(255, 255, 255),
                width=2,
            )
            pen.line((x - side * radius * 0.6, y, x + side * radius * 0.3, y), fill=(255, 255, 255), width=6)
            tip = x + side * radius * 0.7
            pen.polygon(
                [(tip, y), (tip - side * 15, y - 13), (tip - side * 15, y + 13)], fill=(255, 255, 255)
            )


def _apply_fault(image: Image.Image, scene: Scene, rng: np.random.Generator) -> Image.Image:
    severity = scene.severity
    match scene.fault:
        case "blur":
            return image.filter(ImageFilter.GaussianBlur(1.0 + 3.0 * severity))
        case "noise":
            noise = rng.normal(0, 15 + 35 * severity, size=(SIZE, SIZE, 1))
            return Image.fromarray(np.clip(np.asarray(image) + noise, 0, 255).astype(np.uint8))
        case "dark":
            return ImageEnhance.Brightness(image).enhance(0.55 - 0.4 * severity)
        case "jpeg":
            file = io.BytesIO()
            image.save(file, "JPEG", quality=int(26 - 20 * severity))
            return Image.open(file).convert("RGB")
        case "occlusion":
            pen = ImageDraw.Draw(image)
            for _ in range(1 + int(2 * severity)):
                x, y = rng.integers(0, SIZE, size=2)
                w, h = rng.integers(20, 30 + int(60 * severity), size=2)
                tint = tuple(int(v) for v in rng.integers(40, 120, size=3))
                pen.ellipse((int(x - w / 2), int(y - h / 2), int(x + w / 2), int(y + h / 2)), fill=tint)
    return image

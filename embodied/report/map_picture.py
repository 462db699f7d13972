"""The map seen from above: occupancy, rooms, objects, the scene graph drawn between them, paths and changes.

Layers are groups of one SVG; check boxes before it switch them by style alone.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from embodied.messages import Change, MapReply, ObjectRecord, RoomRecord
from embodied.report.data import ReportData
from embodied.report.drawing import (
    Block,
    Frame,
    LabelPlacer,
    Place,
    around,
    arrow_heads,
    bent_arrow,
    footprint,
    frame_around,
    known_corners,
    occupancy_png,
    points_attribute,
    text_width,
    thinned,
)
from embodied.report.markup import Markup, data_uri, element, join, text
from embodied.report.wording import change_sentence, in_room, instant, share

LAYERS = (
    ("rooms", "rooms"),
    ("graph", "scene graph"),
    ("labels", "labels"),
    ("paths", "paths"),
    ("changes", "changes"),
)
N_COLOURS = 6
"""Sessions and rooms take colours in turn."""
FONT = 12.0
LINE = 14.0


def map_figure(data: ReportData) -> Optional[Markup]:
    """Draw the map with its switches; None where there is nothing to draw."""
    frame = _frame(data)
    if frame is None:
        return None
    places = {record.id: frame.at(record.position_m[0], record.position_m[1]) for record in data.objects}
    hubs = _hubs(data, frame)
    picture = element(
        "svg",
        element("title", "Map of the house seen from above"),
        _occupancy(data.map, frame),
        _rooms(data.rooms, frame),
        _boxes(data.objects, frame),
        _paths(data, frame),
        _graph(data, places, hubs),
        _nodes(data.objects, places),
        _labels(data, frame, places, hubs),
        _changes(data, frame),
        _scale_bar(frame),
        viewBox=f"0 0 {frame.width:.0f} {frame.height:.0f}",
        class_="map",
        role="img",
        xmlns="http://www.w3.org/2000/svg",
    )
    switches = [_switch(key, words) for key, words in LAYERS if _has_layer(key, data)]
    return element("div", *switches, picture, _legend(data), class_="mapbox")


def _has_layer(key: str, data: ReportData) -> bool:
    parts = {"rooms": data.rooms, "paths": data.paths, "changes": data.changes}
    return bool(parts.get(key, data.objects))


def _switch(key: str, words: str) -> Markup:
    box = element("input", type="checkbox", id=f"show-{key}", checked="checked")
    return join((box, element("label", words, for_=f"show-{key}")))


def _frame(data: ReportData) -> Optional[Frame]:
    points: List[Place] = known_corners(data.map) if data.map is not None else []
    points += [(record.position_m[0], record.position_m[1]) for record in data.objects]
    points += [corner for room in data.rooms for corner in room.outline_m]
    points += [point for path in data.paths.values() for point in path]
    return frame_around(points) if points else None


def _occupancy(reply: Optional[MapReply], frame: Frame) -> Optional[Markup]:
    if reply is None or reply.occupancy.size == 0:
        return None
    n_rows, n_columns = reply.occupancy.shape
    left, top = frame.at(reply.origin_m[0], reply.origin_m[1] + n_rows * reply.resolution_m)
    return element(
        "image",
        href=data_uri("image/png", occupancy_png(reply)),
        x=left,
        y=top,
        width=n_columns * reply.resolution_m * frame.scale,
        height=n_rows * reply.resolution_m * frame.scale,
        class_="occupancy",
        preserveAspectRatio="none",
    )


def _rooms(rooms: Tuple[RoomRecord, ...], frame: Frame) -> Markup:
    shapes = []
    for index, room in enumerate(rooms):
        outline = [frame.at(x, y) for x, y in room.outline_m]
        if len(outline) >= 3:
            title = element("title", f"{room.name}: {room.area_m2:.1f} m², {room.n_objects} objects")
            shapes.append(
                element("polygon", title, points=points_attribute(outline), class_=f"room c{index % N_COLOURS}")
            )
    return element("g", *shapes, class_="layer-rooms")


def _paths(data: ReportData, frame: Frame) -> Markup:
    groups = []
    for index, (session, path) in enumerate(data.paths.items()):
        line = thinned([frame.at(x, y) for x, y in path], step=0.06 * frame.scale)
        if not line:
            continue
        (x0, y0), (x1, y1) = line[0], line[-1]
        groups.append(
            element(
                "g",
                element("title", f"path of {session}"),
                element("polyline", points=points_attribute(line)),
                *arrow_heads(line, every=1.5 * frame.scale, size=10.0, class_="head"),
                element("circle", cx=x0, cy=y0, r=7.0, class_="start"),
                element("rect", x=x1 - 6.0, y=y1 - 6.0, width=12.0, height=12.0, class_="end"),
                class_=f"path s{index % N_COLOURS}",
            )
        )
    return element("g", *groups, class_="layer-paths")


def _hubs(data: ReportData, frame: Frame) -> Dict[str, Place]:
    """Return where each room's name stands, by the room's id: near its middle, beside the things in it."""
    placer = LabelPlacer(frame.width, frame.height)
    for record in data.objects:
        placer.block(_bounds(footprint(record.box, frame)))
    hubs = {}
    for room in data.rooms:
        outline = [frame.at(x, y) for x, y in room.outline_m]
        wish = frame.at(room.center_m[0], room.center_m[1])
        width = _pill_width(room)
        bounds = _bounds(outline) if len(outline) >= 3 else around(wish, 0.0, 0.0)
        inner = Block(bounds.left + width / 2, bounds.top + 14.0, bounds.right - width / 2, bounds.bottom - 14.0)
        hubs[room.id] = placer.nearest(wish, width + 6.0, 28.0, inner)
    return hubs


def _bounds(corners: List[Place]) -> Block:
    xs, ys = [x for x, _ in corners], [y for _, y in corners]
    return Block(min(xs), min(ys), max(xs), max(ys))


def _pill_width(room: RoomRecord) -> float:
    return text_width(room.name, 15.0) + 22.0


def _graph(data: ReportData, places: Dict[str, Place], hubs: Dict[str, Place]) -> Markup:
    """Draw room → thing, thing → what is on or in it, and room → room through a door."""
    by_name = {room.name: hubs[room.id] for room in data.rooms}
    edges = []
    for room in data.rooms:
        for other_id in room.connects:
            if other_id in hubs and room.id < other_id:
                edges.append(_edge(hubs[room.id], hubs[other_id], "edge connects", "door"))
    for record in data.objects:
        if record.state == "gone":
            continue
        parent = next((r for r in record.relations if r.kind in ("on", "in") and r.object_id in places), None)
        if parent is not None:
            words = f"{record.label} {parent.kind} {parent.label}"
            edges.append(_edge(places[parent.object_id], places[record.id], f"edge {parent.kind}", words))
        elif record.room in by_name:
            edges.append(
                _edge(by_name[record.room], places[record.id], "edge holds", f"{record.label} {in_room(record.room)}")
            )
    return element("g", *edges, class_="layer-graph")


def _edge(start: Place, end: Place, class_: str, title: str) -> Markup:
    return element("line", element("title", title), x1=start[0], y1=start[1], x2=end[0], y2=end[1], class_=class_)


def _boxes(objects: Tuple[ObjectRecord, ...], frame: Frame) -> Markup:
    """Draw the footprints, the larger first, so that what stands on a table is drawn over it."""
    marks = []
    for record in sorted(objects, key=lambda r: (-r.box.size_m[0] * r.box.size_m[1], r.id)):
        corners = points_attribute(footprint(record.box, frame))
        marks.append(element("polygon", element("title", _about(record)), points=corners, class_=f"box {record.state}"))
    return element("g", *marks)


def _nodes(objects: Tuple[ObjectRecord, ...], places: Dict[str, Place]) -> Markup:
    """Draw the objects as the nodes of the scene graph."""
    marks = []
    for record in objects:
        x, y = places[record.id]
        title = element("title", _about(record))
        marks.append(element("circle", title, cx=x, cy=y, r=4.5, class_=f"node {record.state}"))
    return element("g", *marks)


def _about(record: ObjectRecord) -> str:
    x, y, z = record.position_m
    return (
        f"{record.label} ({record.id}), {record.state}, {in_room(record.room)}\n"
        f"at {x:.2f}, {y:.2f}, {z:.2f} m, confidence {share(record.confidence)}\n"
        f"last seen {instant(record.last_seen_ns)}"
    )


def _labels(data: ReportData, frame: Frame, places: Dict[str, Place], hubs: Dict[str, Place]) -> Markup:
    """Name rooms and objects. What finds no free spot keeps its hover text and its line in the list."""
    placer = LabelPlacer(frame.width, frame.height)
    for place in places.values():
        placer.block(around(place, 8.0, 8.0))
    for item in data.changes:
        for place in _signs(item.change, frame):
            placer.block(around(place, 26.0, 26.0))
    rooms, names = [], []
    for index, room in enumerate(data.rooms):
        (x, y), width = hubs[room.id], _pill_width(room)
        placer.block(Block(x - width / 2, y - 13.0, x + width / 2, y + 13.0))
        pill = element("rect", x=x - width / 2, y=y - 12.0, width=width, height=24.0, rx=12.0)
        rooms.append(
            element("g", pill, element("text", room.name, x=x, y=y + 5.0), class_=f"roomname c{index % N_COLOURS}")
        )
    small_first = sorted(data.objects, key=lambda r: (r.state == "gone", r.box.size_m[0] * r.box.size_m[1], r.id))
    for record in small_first:
        anchor = places[record.id]
        words = record.label or record.id
        spot = placer.place(anchor, text_width(words, FONT), LINE)
        if spot is None:
            continue
        if abs(spot[1] - anchor[1]) > 24.0 or abs(spot[0] - anchor[0]) > text_width(words, FONT) / 2 + 12.0:
            names.append(element("line", x1=anchor[0], y1=anchor[1], x2=spot[0], y2=spot[1], class_="leader"))
        names.append(element("text", words, x=spot[0], y=spot[1] + 4.0, class_=f"name {record.state}"))
    return join((element("g", *names, class_="layer-labels"), element("g", *rooms, class_="layer-rooms")))


def _ends(change: Change, frame: Frame) -> Tuple[Optional[Place], Optional[Place]]:
    start, end = change.from_position_m, change.to_position_m
    return (frame.at(*start[:2]) if start is not None else None, frame.at(*end[:2]) if end is not None else None)


def _signs(change: Change, frame: Frame) -> List[Place]:
    """Return where a sign is drawn: for what came or went; an arrow stands for what was moved."""
    start, end = _ends(change, frame)
    return [place for place in (start, end) if place is not None] if start is None or end is None else []


def _changes(data: ReportData, frame: Frame) -> Markup:
    marks = []
    for item in data.changes:
        change = item.change
        start, end = _ends(change, frame)
        if start is not None and end is not None:
            drawn = bent_arrow(start, end, "arrow")
        else:
            strokes = "M-8 0L8 0M0 -8L0 8" if start is None else "M-7 -7L7 7M-7 7L7 -7"
            drawn = join([_sign(place, strokes) for place in _signs(change, frame)])
        marks.append(element("g", element("title", change_sentence(change)), drawn, class_=f"change {change.kind}"))
    return element("g", *marks, class_="layer-changes")


def _sign(place: Place, strokes: str) -> Markup:
    x, y = place
    disc = element("circle", cx=0, cy=0, r=12, class_="disc")
    return element("g", disc, element("path", d=strokes), transform=f"translate({x:.1f} {y:.1f})")


def _scale_bar(frame: Frame) -> Markup:
    x, y = 16.0, frame.height - 16.0
    bar = element("path", d=f"M{x} {y - 5}V{y}H{x + frame.scale:.1f}V{y - 5}")
    return element("g", bar, element("text", "1 m", x=x + frame.scale / 2, y=y - 6), class_="scalebar")


def _legend(data: ReportData) -> Markup:
    entries = [_key(f"swatch s{i % N_COLOURS}", f"path of {session}") for i, session in enumerate(data.paths)]
    states = {record.state for record in data.objects}
    for state in ("present", "moved", "gone", "unknown"):
        if state in states:
            entries.append(_key(f"dot {state}", state))
    kinds = {item.change.kind for item in data.changes}
    for kind, sign in (("moved", "↷"), ("removed", "×"), ("added", "+")):
        if kind in kinds:
            entries.append(_key(f"sign {kind}", f"was {kind}", sign))
    return element("div", *entries, class_="legend")


def _key(class_: str, words: str, sign: str = "") -> Markup:
    return element("span", element("i", sign, class_=class_), text(words), class_="key")

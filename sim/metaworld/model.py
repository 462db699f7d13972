"""Robot, table and props as one MuJoCo model: text for MuJoCo's compiler, which is not needed to write it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Iterable, Sequence, Union
from xml.etree import ElementTree

import numpy as np

from embodied.arrays import Vector3
from embodied.errors import ConfigurationError
from sim.metaworld.table import HIDDEN, Position, Prop

CAMERA_NAME = "front"
CAMERA_FOVY_RAD = float(np.radians(38.0))
HAND_BODY, MOCAP_BODY = "hand", "mocap"
TOOL_SITES = ("leftEndEffector", "rightEndEffector")
FINGER_BODIES = ("leftpad", "rightpad")
PROP_GROUP = 3
"""MuJoCo's groups are there to draw some things and not others: this one holds the props and nothing else."""

TABLE_HEIGHT_M = 0.913
"""Of the table top above the floor, in Meta-World's scenes."""
_CAMERA_POSITION_M: Position = (1.5, 0.0, 0.8)
_CAMERA_TARGET_M: Position = (0.6, 0.0, 0.08)
_FREE_START_M = (0.9, 0.3)
_FREE_MASS_KG = 0.2
_FREE_INERTIA_KG_M2 = 1e-4


def to_mujoco(position_m: Union[Position, Vector3]) -> Vector3:
    """Convert a point from the frame ``table`` to Meta-World's world, where y is forward and x right."""
    x_m, y_m, z_m = np.asarray(position_m, dtype=float)
    return np.array([-y_m, x_m, z_m])


def from_mujoco(position_m: Union[Position, Vector3]) -> Vector3:
    """Convert a point from Meta-World's world to the frame ``table``."""
    x_m, y_m, z_m = np.asarray(position_m, dtype=float)
    return np.array([y_m, -x_m, z_m])


def assets_directory() -> Path:
    """Return where Meta-World keeps its robot and table; the package itself is not imported.

    Raises:
        ConfigurationError: It is not installed.
    """
    spec = importlib.util.find_spec("metaworld")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("metaworld: not installed here; pip install 'embodied-memory[metaworld]'")
    return Path(spec.submodule_search_locations[0]) / "assets"


def model_xml(props: Sequence[Prop], assets: Path, image_px: int) -> str:
    """Return the model as MJCF, with Meta-World's own files included by absolute path."""
    root = ElementTree.Element("mujoco", model="sawyer_memory")
    files = str(assets / "sawyer_xyz")
    ElementTree.SubElement(root, "compiler", meshdir=files, texturedir=files)
    for name in ("scene/basic_scene.xml", "objects/assets/xyz_base_dependencies.xml"):
        ElementTree.SubElement(root, "include", file=str(assets / name))
    visual = ElementTree.SubElement(root, "visual")
    # Without several samples a pixel a frame costs a tenth, and colour, depth and instance fall on the same surface.
    ElementTree.SubElement(visual, "quality", offsamples="0", shadowsize="0")
    ElementTree.SubElement(visual, "global", offwidth=str(image_px), offheight=str(image_px))
    world = ElementTree.SubElement(root, "worldbody")
    ElementTree.SubElement(world, "include", file=str(assets / "objects/assets/xyz_base.xml"))
    _add_camera(world)
    for prop in props:
        _add_prop(world, prop)
    actuators = ElementTree.SubElement(root, "actuator")
    for joint in ("r_close", "l_close"):
        ElementTree.SubElement(actuators, "position", ctrllimited="true", ctrlrange="-1 1", joint=joint, kp="400")
    weld = {"body1": MOCAP_BODY, "body2": HAND_BODY, "solref": "0.02 1"}
    ElementTree.SubElement(ElementTree.SubElement(root, "equality"), "weld", weld)
    return ElementTree.tostring(root, encoding="unicode")


def prop_geom(name: str) -> str:
    """Return what the geom of a prop is called."""
    return f"prop_{name}_geom"


def prop_body(name: str) -> str:
    """Return what the body of a prop is called."""
    return f"prop_{name}"


def _add_camera(world: ElementTree.Element) -> None:
    """Add the camera, which stands across the table and looks at the robot."""
    position, target = to_mujoco(_CAMERA_POSITION_M), to_mujoco(_CAMERA_TARGET_M)
    forward = (target - position) / np.linalg.norm(target - position)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    axes = np.concatenate([right, np.cross(right, forward)])
    ElementTree.SubElement(
        world,
        "camera",
        name=CAMERA_NAME,
        pos=_numbers(position),
        xyaxes=_numbers(axes),
        fovy=repr(float(np.degrees(CAMERA_FOVY_RAD))),
    )


def _add_prop(world: ElementTree.Element, prop: Prop) -> None:
    # Nothing holds a free prop below the floor: it begins in a corner of the table.
    start = (*_FREE_START_M, prop.half_size_m[2]) if prop.is_free else HIDDEN
    body = ElementTree.SubElement(world, "body", name=prop_body(prop.name), pos=_numbers(to_mujoco(start)))
    if prop.is_free:
        ElementTree.SubElement(body, "freejoint")
        # Meta-World computes inertia from geoms of another group.
        inertia = _numbers([_FREE_INERTIA_KG_M2] * 3)
        ElementTree.SubElement(body, "inertial", pos="0 0 0", mass=repr(_FREE_MASS_KG), diaginertia=inertia)
    else:
        body.set("mocap", "true")
    touches = "1" if prop.is_solid or prop.is_free else "0"
    x_m, y_m, z_m = prop.half_size_m
    size = {"box": (y_m, x_m, z_m), "cylinder": (x_m, z_m), "sphere": (x_m,)}[prop.kind]
    ElementTree.SubElement(
        body,
        "geom",
        name=prop_geom(prop.name),
        type=prop.kind,
        size=_numbers(size),
        group=str(PROP_GROUP),
        rgba=_numbers([*prop.color, 1.0]),
        contype=touches,
        conaffinity=touches,
        condim="4",
        friction="1 0.1 0.002",
        solimp="0.99 0.99 0.01",
        solref="0.01 1",
    )


def _numbers(values: Iterable[float]) -> str:
    return " ".join(repr(float(value)) for value in values)

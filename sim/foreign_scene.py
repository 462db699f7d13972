"""Scenes that others made: any Habitat scene dataset, or a bare GLB file.

What such files do not say is made up plainly: the floor is the largest level surface near the lowest, and lies at z = 0
of our world; everything above it is one room; where the files name no lights, there is a lamp every few metres.
Instances are numbered from 1 in the order of the file. Their categories are the names of their templates.
"""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Literal, Optional, Sequence, Tuple

import msgspec
import numpy as np
from scipy import ndimage

from embodied.arrays import Points, Transform
from embodied.errors import SceneError
from embodied.geometry import matrix_from_quaternion, transform
from sim.collision import CELL_M, ROBOT_RADIUS_M, obstacle_grid
from sim.glb import GlbNode, read_nodes
from sim.habitat_dataset import DATASET_FILE, read_dataset, world_points, world_transform
from sim.scene import Instance, Light, Part, Region, Scene, Template
from sim.world_mesh import MeshBuilder, face_normals, template_corners

Nodes = Literal["auto", "instances", "stage"]
_DATASET, _SCENE, _STAGE = ".scene_dataset_config.json", ".scene_instance.json", ".stage_config.json"
_OBJECT, _LIGHTS = ".object_config.json", ".lighting_config.json"
_FOLDERS = {_STAGE: "stages", _OBJECT: "objects", _LIGHTS: "light_setups", _SCENE: "scene_instances"}
_LAMP_SPACING_M, _LAMP_HEIGHT_M = 4.0, 2.25
_MAX_INSTANCES = 65535
_STAGE_SHARE = 0.6
"""A node of a bare file that spans so much of the whole in x and in y is the building, not a thing in it."""
_BUILDING = re.compile(r"wall|floor|ceiling|room|stage|building|ground|house|roof", re.IGNORECASE)
_NAMELESS = re.compile(
    r"(node|mesh|chunk|geometry|material|part|object|scene|world|primitive)?[\W_]*\d*", re.IGNORECASE
)


@dataclass(frozen=True)
class _Asset:
    """A stage or object as its configuration describes it."""

    render_asset: Path
    up: Tuple[float, float, float] = (0.0, 1.0, 0.0)
    front: Tuple[float, float, float] = (0.0, 0.0, -1.0)
    scale: Tuple[float, float, float] = (1.0, 1.0, 1.0)
    center_of_mass: Optional[Tuple[float, float, float]] = None
    """In the asset's own frame; None for the middle of its bounding box."""


def load_scene(path: Path, scene_name: Optional[str] = None, nodes: Nodes = "auto") -> Scene:
    """Read a scene: a dataset of ours or of others, one scene instance of a dataset, or a GLB file.

    Args:
        path: A ``.glb``, a ``.scene_instance.json``, a ``.scene_dataset_config.json``, or the directory of one.
        scene_name: Which scene of a dataset; not needed if there is only one.
        nodes: Of a bare GLB: whether each node is a thing of its own, or all are the building. ``auto`` takes nodes
            with names of their own as things.

    Raises:
        SceneError: A file is missing or damaged, or holds no place where a robot could stand.
    """
    if path.suffix.lower() == ".glb":
        return _bare(path, nodes)
    if path.name.endswith(_SCENE):
        configs = [file for folder in list(path.parents)[:4] for file in sorted(folder.glob(f"*{_DATASET}"))]
        if not configs:
            raise SceneError(f"{path}: expected a file *{_DATASET} in a folder above it")
        return load_scene(configs[0], path.name[: -len(_SCENE)])
    config = path
    if path.is_dir():
        found = sorted(path.glob(f"*{_DATASET}"))
        if len(found) != 1:
            raise SceneError(f"{path}: expected one file *{_DATASET}, found {len(found)}")
        config = found[0]
    if config.name == DATASET_FILE and (config.parent / "annotations").is_dir():
        return read_dataset(config, scene_name)
    return _Dataset(config).scene(scene_name)


class _Dataset:
    """The files that a dataset's configuration points to, by kind."""

    def __init__(self, config: Path) -> None:
        self.config = config
        document = _json(config)
        self._files: Dict[str, List[Path]] = {}
        for suffix, section in _FOLDERS.items():
            paths = (document.get(section) or {}).get("paths") or {}
            listed = [entry for entries in paths.values() for entry in entries]
            self._files[suffix] = _expanded(config.parent, listed, suffix)
            if suffix in (_STAGE, _OBJECT):
                # A dataset may point at meshes alone.
                self._files[suffix] += _expanded(config.parent, listed, ".glb")

    def scene(self, name: Optional[str]) -> Scene:
        scenes = self._files[_SCENE]
        if name is None and len(scenes) != 1:
            raise SceneError(f"dataset {self.config}: expected one scene or a name, found {_names(scenes, _SCENE)}")
        path = scenes[0] if name is None else self._find(_SCENE, name)
        document = _json(path)
        stage_entry = document.get("stage_instance") or {}
        stage_asset = self._asset(_STAGE, str(stage_entry.get("template_name")))
        stage = _template("stage", "stage", stage_asset)
        T_stage = _pose(path, stage_entry, stage_asset, "ASSET_LOCAL")
        stage = _moved(stage, world_transform(T_stage))
        templates: Dict[str, Template] = {}
        shifts: Dict[str, np.ndarray] = {}
        instances: List[Instance] = []
        for entry in document.get("object_instances") or ():
            asset = self._asset(_OBJECT, str(entry.get("template_name")))
            scale = np.array(entry.get("non_uniform_scale") or [entry.get("uniform_scale") or 1.0] * 3, dtype=float)
            asset = replace(asset, scale=tuple((np.array(asset.scale) * scale).tolist()))
            handle = _handle(str(entry["template_name"]), scale)
            if handle not in templates:
                base = _template(handle, _category(handle), asset)
                templates[handle], shifts[handle] = _on_its_feet(base)
            T = world_transform(_pose(path, entry, asset, "COM"))
            T = T @ transform(np.eye(3), shifts[handle])
            instances.append(Instance(len(instances) + 1, handle, T))
        lights = self._lights(str(document.get("default_lighting") or ""))
        return _finished(path.name[: -len(_SCENE)], stage, templates, instances, lights)

    def _find(self, suffix: str, name: str) -> Path:
        wanted = name.replace("\\", "/").split("/")[-1]
        for extension in (suffix, ".glb", ".json"):
            wanted = wanted[: -len(extension)] if wanted.endswith(extension) else wanted
        files = self._files[suffix]
        matches = [file for file in files if file.name in (f"{wanted}{suffix}", f"{wanted}.glb")]
        if not matches:
            raise SceneError(f"dataset {self.config}: {name!r} is not among its {_FOLDERS[suffix]}")
        # A configuration says more than the mesh that it is about.
        return sorted(matches, key=lambda file: file.suffix != ".json")[0]

    def _asset(self, suffix: str, name: str) -> _Asset:
        path = self._find(suffix, name)
        if path.suffix == ".glb":
            return _Asset(path)
        document = _json(path)
        if not document.get("render_asset"):
            raise SceneError(f"{path}: expected a render_asset")
        units = float(document.get("units_to_meters") or 1.0)
        scale = np.array(document.get("scale") or [1.0] * 3, dtype=float) * units
        center = document.get("COM")
        asset = _Asset(
            render_asset=(path.parent / str(document["render_asset"])).resolve(),
            scale=_vector(path, scale.tolist()),
            center_of_mass=_vector(path, center) if center is not None else None,
        )
        if suffix == _OBJECT:
            # habitat-sim draws objects in their file's own axes, whatever their configuration says of up and front.
            return asset
        up, front = document.get("up") or asset.up, document.get("front") or asset.front
        return replace(asset, up=_vector(path, up), front=_vector(path, front))

    def _lights(self, name: str) -> Tuple[Light, ...]:
        """Return a scene's point lights; none if the dataset has none of that name."""
        wanted = name.replace("\\", "/").split("/")[-1].replace(_LIGHTS, "")
        files = [file for file in self._files[_LIGHTS] if file.name == f"{wanted}{_LIGHTS}"]
        found = (_json(files[0]).get("lights") or {}) if files else {}
        entries = list(found.values()) if isinstance(found, dict) else list(found)
        lights = []
        for entry in entries:
            if entry.get("type", "point") == "point" and entry.get("position") is not None:
                at = world_points(np.array([_vector(files[0], entry["position"])]))[0]
                color = _vector(files[0], entry.get("color") or (1.0, 1.0, 1.0))
                intensity = float(entry.get("intensity") or 1.0)
                lights.append(Light((float(at[0]), float(at[1]), float(at[2])), color, intensity))
        brightest = max((light.intensity for light in lights), default=1.0)
        return tuple(replace(light, intensity=light.intensity / max(brightest, 1e-9)) for light in lights)


# ------------------------------------------------------------------------------------------------- bare files


def _bare(path: Path, nodes: Nodes) -> Scene:
    found = read_nodes(path)
    corners = np.concatenate([part.vertices for node in found for part in node.parts])
    extent = np.ptp(corners, axis=0)
    named = [node for node in found if not _NAMELESS.fullmatch(node.name)]
    stage: List[GlbNode] = []
    things: List[GlbNode] = []
    for node in found:
        span = np.ptp(np.concatenate([part.vertices for part in node.parts]), axis=0) / np.maximum(extent, 1e-9)
        building = bool(_BUILDING.search(node.name)) or min(span[0], span[2]) > _STAGE_SHARE
        apart = nodes == "instances" or (nodes == "auto" and node in named and len(found) > 1)
        (things if apart and not building else stage).append(node)
    if not stage:
        raise SceneError(f"{path}: expected a node that is the building: one named so, or as wide as the whole")
    templates: Dict[str, Template] = {}
    instances: List[Instance] = []
    for node in things:
        handle = f"{_plain(node.name)}_{len(instances) + 1:04d}"
        template = Template(handle, _category(node.name), "", tuple(_in_world(part) for part in node.parts))
        templates[handle], shift = _on_its_feet(template)
        instances.append(Instance(len(instances) + 1, handle, transform(np.eye(3), shift)))
    parts = tuple(_in_world(part) for node in stage for part in node.parts)
    return _finished(_plain(path.stem), Template("stage", "stage", "", parts), templates, instances, ())


def _in_world(part: Part) -> Part:
    return replace(part, vertices=world_points(part.vertices))


# ------------------------------------------------------------------------------------------------- assets


def _template(handle: str, category: str, asset: _Asset) -> Template:
    """Read an asset, turned to our world's axes and scaled."""
    parts = []
    for node in read_nodes(asset.render_asset):
        for part in node.parts:
            vertices = part.vertices * np.array(asset.scale, dtype=np.float32) @ _orientation(asset).T
            parts.append(replace(part, vertices=world_points(vertices.astype(np.float32))))
    return Template(handle, category, "", tuple(parts))


def _orientation(asset: _Asset) -> np.ndarray:
    """Return the rotation from an asset's axes to Habitat's, which has up along y and the front along -z."""
    up, front = np.array(asset.up), np.array(asset.front)
    right = np.cross(front, up)
    if min(np.linalg.norm(up), np.linalg.norm(front), np.linalg.norm(right)) < 1e-6:
        raise SceneError(f"{asset.render_asset}: expected up and front at a right angle, got {asset.up}, {asset.front}")
    up, right = up / np.linalg.norm(up), right / np.linalg.norm(right)
    return np.stack([right, up, np.cross(right, up)])


def _pose(path: Path, entry: Dict[str, Any], asset: _Asset, default_origin: str) -> Transform:
    """Return an instance's pose in Habitat's world, of the asset's own origin."""
    w, x, y, z = (float(value) for value in entry.get("rotation") or (1.0, 0.0, 0.0, 0.0))
    try:
        R = matrix_from_quaternion(np.array([x, y, z, w]))
    except ValueError as error:
        raise SceneError(f"{path}: {error}") from error
    T = transform(R, np.array(_vector(path, entry.get("translation") or (0.0, 0.0, 0.0))))
    if str(entry.get("translation_origin") or default_origin).upper() == "COM":
        T = T @ transform(np.eye(3), -_center(asset))
    return T


def _center(asset: _Asset) -> np.ndarray:
    """Return an asset's centre of mass after turning and scaling, in Habitat's axes."""
    if asset.center_of_mass is not None:
        return _orientation(asset) @ (np.array(asset.center_of_mass) * asset.scale)
    vertices = np.concatenate([part.vertices for node in read_nodes(asset.render_asset) for part in node.parts])
    turned = vertices * np.array(asset.scale) @ _orientation(asset).T
    return np.asarray((turned.min(axis=0) + turned.max(axis=0)) / 2)


def _on_its_feet(template: Template) -> Tuple[Template, np.ndarray]:
    """Return a template about the middle of the bottom of its bounding box, and where that was."""
    vertices = np.concatenate([part.vertices for part in template.parts]).astype(np.float64)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    shift = np.array([(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]])
    return _moved(template, transform(np.eye(3), -shift)), shift


def _moved(template: Template, T: Transform) -> Template:
    def moved(points: Points) -> Points:
        return (points.astype(np.float64) @ T[:3, :3].T + T[:3, 3]).astype(np.float32)

    return replace(template, parts=tuple(replace(part, vertices=moved(part.vertices)) for part in template.parts))


# ------------------------------------------------------------------------------------------------- the rest


def _finished(
    name: str, stage: Template, templates: Dict[str, Template], instances: List[Instance], lights: Tuple[Light, ...]
) -> Scene:
    """Put the floor at z = 0 and find where a robot can stand."""
    if len(instances) > _MAX_INSTANCES:
        raise SceneError(f"scene {name}: expected at most {_MAX_INSTANCES} instances, got {len(instances)}")
    T = transform(np.eye(3), np.array([0.0, 0.0, -_floor_height(stage)]))
    stage = _moved(stage, T)
    placed = tuple(replace(i, T_world_object=T @ i.T_world_object) for i in instances)
    points = np.concatenate([part.vertices for part in stage.parts])
    x0, y0, x1, y1 = (float(v) for v in (*points.min(axis=0)[:2], *points.max(axis=0)[:2]))
    scene = Scene(
        name=name,
        stage=stage,
        templates=templates,
        instances=placed,
        lights=tuple(replace(light, position_m=_lowered(light, T)) for light in lights) or _lamps(x0, y0, x1, y1),
        regions=(Region("room", (x0, y0, x1, y1)),),
        doors=(),
        start_pose=(0.0, 0.0, 0.0),
    )
    return replace(scene, start_pose=_start(scene))


def _lowered(light: Light, T: Transform) -> Tuple[float, float, float]:
    x, y, z = light.position_m
    return x, y, z + float(T[2, 3])


def _lamps(x0: float, y0: float, x1: float, y1: float) -> Tuple[Light, ...]:
    counts = [max(1, round((high - low) / _LAMP_SPACING_M)) for low, high in ((x0, x1), (y0, y1))]
    xs, ys = (
        low + (np.arange(n) + 0.5) * (high - low) / n for n, low, high in ((counts[0], x0, x1), (counts[1], y0, y1))
    )
    return tuple(Light((float(x), float(y), _LAMP_HEIGHT_M), (1.0, 0.96, 0.9), 1.0) for x in xs for y in ys)


def _floor_height(stage: Template) -> float:
    """Return the height of the lowest level at which there is much floor."""
    corners = template_corners(stage).astype(np.float64)
    upward = face_normals(corners)[:, 2]
    # Some files are drawn inside out as a whole.
    level = upward > 0.95 if (upward > 0.95).any() else upward < -0.95
    if not level.any():
        raise SceneError("stage: expected level surfaces to stand on, got none")
    heights = corners[level][..., 2].mean(axis=1)
    area = np.linalg.norm(
        np.cross(corners[level][:, 1] - corners[level][:, 0], corners[level][:, 2] - corners[level][:, 0]), axis=1
    )
    edges = np.arange(heights.min() - 0.05, heights.max() + 0.15, 0.1)
    amounts = np.histogram(heights, edges, weights=area)[0]
    first = int(np.argmax(amounts > 0.25 * amounts.max()))
    inside = (heights >= edges[first]) & (heights < edges[first + 1])
    return float(np.average(heights[inside], weights=area[inside]))


def _start(scene: Scene) -> Tuple[float, float, float]:
    """Return the widest free place of the largest free floor, looking along x."""
    mesh = MeshBuilder().build(scene)
    obstacles = obstacle_grid(mesh)
    floor = obstacle_grid(mesh, (-0.08, 0.025))
    free = np.asarray(ndimage.distance_transform_edt(floor.cells & ~obstacles.cells)) * CELL_M
    parts, n = ndimage.label(free > ROBOT_RADIUS_M + 0.05)
    if not n:
        raise SceneError(f"scene {scene.name}: expected free floor for a robot of {ROBOT_RADIUS_M} m radius, got none")
    largest = 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    row, column = np.unravel_index(int(np.argmax(np.where(parts == largest, free, 0.0))), free.shape)
    x, y = obstacles.center(int(row), int(column))
    return x, y, 0.0


def _json(path: Path) -> Dict[str, Any]:
    try:
        document = msgspec.json.decode(path.read_bytes(), type=Dict[str, Any])
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror or error}") from error
    except msgspec.MsgspecError as error:
        raise SceneError(f"{path}: {error}") from error
    return document


def _vector(path: Path, values: Sequence[float]) -> Tuple[float, float, float]:
    try:
        x, y, z = (float(value) for value in values)
    except (TypeError, ValueError) as error:
        raise SceneError(f"{path}: expected three numbers, got {values!r}") from error
    if not np.isfinite([x, y, z]).all():
        raise SceneError(f"{path}: expected finite numbers, got {values!r}")
    return x, y, z


def _expanded(root: Path, patterns: Sequence[str], suffix: str) -> List[Path]:
    """Return the files that a dataset's patterns name: folders, files, or either with wildcards."""
    found: List[Path] = []
    for pattern in patterns:
        for place in sorted(root.glob(pattern)) if pattern not in ("", ".") else [root]:
            found += sorted(place.glob(f"*{suffix}")) if place.is_dir() else [place]
    return [file for file in dict.fromkeys(found) if fnmatch.fnmatch(file.name, f"*{suffix}")]


def _names(files: Sequence[Path], suffix: str) -> List[str]:
    return [file.name[: -len(suffix)] for file in files]


def _handle(template_name: str, scale: np.ndarray) -> str:
    name = _plain(template_name.replace("\\", "/").split("/")[-1])
    if np.allclose(scale, 1.0):
        return name
    return f"{name}_x{'_'.join(f'{value:g}' for value in scale.tolist())}"


def _plain(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip(".") or "scene"


def _category(name: str) -> str:
    """Return the words of a name, without numbers: ``Chair_01`` is a chair."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.split(".", maxsplit=1)[0])
    words = re.sub(r"[\W\d_]+", " ", re.sub(r"_x[\d_.]+$", "", words)).strip().lower()
    return words or "thing"

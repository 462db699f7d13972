"""Scenes as Habitat scene datasets: GLB stage and objects, and the JSON files that habitat-sim reads unchanged.

One directory holds one house, with one scene instance for each state it is in (``write_dataset`` adds to it)::

    house.scene_dataset_config.json
    stages/<name>.glb, <name>.stage_config.json
    objects/<handle>.glb                              one for each template, closed
    objects/<handle>~<opened>.glb                     and one for each state in which it stands open, in thousandths
    objects/<handle>.<id>.object_config.json          one for each instance: habitat-sim's semantic sensor shows its id
    scenes/<name>.scene_instance.json
    lighting/<name>.lighting_config.json
    annotations/<name>.json                           what Habitat's formats cannot say

Habitat's world has y up and looks along -z: x, y, z of ours are x, -z, y there. This is the only file that knows.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Literal, Optional, Tuple

import msgspec
import numpy as np

from embodied.arrays import Points, Transform
from embodied.errors import SceneError
from embodied.geometry import matrix_from_quaternion, quaternion_from_matrix, transform
from sim.glb import read_glb, write_glb
from sim.scene import Door, Instance, Joint, Light, Region, Scene, Template

R_HABITAT_WORLD = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
"""Rotation of our world to Habitat's."""
_T_HABITAT_WORLD = transform(R_HABITAT_WORLD, np.zeros(3))
HABITAT_INTENSITY = 14.0
"""Habitat's lamps fade with the square of the distance and nothing else lights a room: what looks like our 1 there."""
DATASET_FILE = "house.scene_dataset_config.json"
_VERSION = 2
_OLDER_VERSIONS = (1,)
"""Without joints and what is open: their fields' defaults say so."""
_MAX_INSTANCE_ID = 65535
"""Ids are looked up in tables of their size; habitat-sim's semantic sensor has as many."""
_STAGE_SUFFIX, _OBJECT_SUFFIX = ".stage_config.json", ".object_config.json"
_SCENE_SUFFIX, _LIGHT_SUFFIX = ".scene_instance.json", ".lighting_config.json"


class _Thing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A template's names."""

    category: str
    colour: str
    joints: Dict[int, Joint] = {}
    """By the index of the part that moves."""


class _Place(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An instance: its pose is in the scene instance file, at the same index."""

    instance_id: int
    template: str
    support: int
    relation: str
    opened: float = 0.0


class _Annotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Habitat's formats cannot say. Our world frame, metres."""

    version: int
    templates: Dict[str, _Thing]
    instances: Tuple[_Place, ...]
    regions: Tuple[Region, ...]
    doors: Tuple[Door, ...]
    start_pose: Tuple[float, float, float]
    ambient_rgb: Tuple[float, float, float] = (1.0, 1.0, 1.0)
    lamp_gain: float = 1.0


class _Pose(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a scene instance file; other keys are Habitat's business."""

    template_name: str
    translation: Tuple[float, float, float]
    rotation: Tuple[float, float, float, float]
    """w, x, y, z, as Habitat writes it."""


class _StageName(msgspec.Struct, frozen=True, kw_only=True):
    template_name: str


class _SceneInstance(msgspec.Struct, frozen=True, kw_only=True):
    stage_instance: _StageName
    object_instances: Tuple[_Pose, ...]
    default_lighting: str


class _HabitatLight(msgspec.Struct, frozen=True, kw_only=True):
    position: Tuple[float, float, float]
    color: Tuple[float, float, float]
    intensity: float


class _Lighting(msgspec.Struct, frozen=True, kw_only=True):
    lights: Dict[str, _HabitatLight]


def habitat_points(points_world: Points) -> Points:
    """Map points of our world to Habitat's; keeps the dtype."""
    return points_world @ R_HABITAT_WORLD.T.astype(points_world.dtype)


def world_points(points_habitat: Points) -> Points:
    """Map points of Habitat's world to ours; keeps the dtype."""
    return points_habitat @ R_HABITAT_WORLD.astype(points_habitat.dtype)


def habitat_transform(T_world_object: Transform) -> Transform:
    """Express a pose in Habitat's world, for a template whose vertices went through ``habitat_points``."""
    return _T_HABITAT_WORLD @ T_world_object @ _T_HABITAT_WORLD.T


def world_transform(T_habitat_object: Transform) -> Transform:
    """Undo ``habitat_transform``."""
    return _T_HABITAT_WORLD.T @ T_habitat_object @ _T_HABITAT_WORLD


def write_dataset(scene: Scene, directory: Path) -> Path:
    """Write a scene, beside others of the same house, and return the path of the dataset's configuration.

    The same scene gives the same bytes.

    Raises:
        ValueError: A name cannot be a file name, or a pose is not finite.
        SceneError: The directory cannot be written.
    """
    for name in (scene.name, *scene.templates):
        if not _is_plain(name):
            raise ValueError(f"scene: expected names of scene and templates to be plain file names, got {name!r}")
    try:
        for folder in ("stages", "objects", "scenes", "lighting", "annotations"):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        _write_stage(scene, directory)
        _write_objects(scene, directory)
        _write_scene(scene, directory)
        _write_json(directory / DATASET_FILE, _dataset_config())
    except OSError as error:
        raise SceneError(f"dataset {directory}: {error}") from error
    return directory / DATASET_FILE


def read_dataset(path: Path, scene_name: Optional[str] = None) -> Scene:
    """Read one scene of a dataset that ``write_dataset`` wrote.

    Args:
        path: The dataset's configuration, or its directory.
        scene_name: Which scene; not needed if there is only one.

    Raises:
        SceneError: A file is missing or damaged, or the files contradict each other.
    """
    config = path / DATASET_FILE if path.is_dir() else path
    _load(config, Dict[str, Any])
    directory = config.parent
    name = scene_name or _only_scene(directory)
    if not _is_plain(name):
        raise SceneError(f"dataset {directory}: {name!r} is not the name of a scene")
    instance = _load(directory / "scenes" / f"{name}{_SCENE_SUFFIX}", _SceneInstance)
    notes = _load(directory / "annotations" / f"{name}.json", _Annotation)
    lighting = _load(directory / "lighting" / f"{name}{_LIGHT_SUFFIX}", _Lighting)
    if notes.version not in (_VERSION, *_OLDER_VERSIONS):
        raise SceneError(f"scene {name}: expected annotations of version {_VERSION}, got {notes.version}")
    if len(instance.object_instances) != len(notes.instances):
        n, m = len(instance.object_instances), len(notes.instances)
        raise SceneError(f"scene {name}: {n} object instances but {m} annotations")
    strange = [handle for handle in notes.templates if not _is_plain(handle)]
    if strange or not np.isfinite(notes.start_pose).all():
        raise SceneError(f"scene {name}: expected plain template names and a finite start pose, got {strange}")
    templates = {
        handle: _read_template(directory / "objects" / f"{handle}.glb", handle, thing)
        for handle, thing in notes.templates.items()
    }
    instances = tuple(
        _instance(name, pose, place, templates) for pose, place in zip(instance.object_instances, notes.instances)
    )
    _check_supports(name, instances)
    return Scene(
        name=name,
        stage=_read_template(directory / "stages" / f"{name}.glb", "stage", _Thing(category="stage", colour="")),
        templates=templates,
        instances=instances,
        lights=tuple(_light(lighting.lights[key]) for key in sorted(lighting.lights)),
        regions=notes.regions,
        doors=notes.doors,
        start_pose=notes.start_pose,
        ambient_rgb=notes.ambient_rgb,
        lamp_gain=notes.lamp_gain,
    )


# --------------------------------------------------------------------------------------------- writing


def _write_stage(scene: Scene, directory: Path) -> None:
    write_glb(_to_habitat(scene.stage), directory / "stages" / f"{scene.name}.glb")
    config = {"render_asset": f"{scene.name}.glb", **_ORIENTATION, "is_collidable": True, "force_flat_shading": False}
    _write_json(directory / "stages" / f"{scene.name}{_STAGE_SUFFIX}", config)


def _write_objects(scene: Scene, directory: Path) -> None:
    for handle, template in scene.templates.items():
        write_glb(_to_habitat(template), directory / "objects" / f"{handle}.glb")
    for instance in scene.instances:
        asset = _asset_name(instance)
        if instance.opened > 0.0:
            write_glb(_to_habitat(scene.shape_of(instance)), directory / "objects" / asset)
        config = {
            "render_asset": asset,
            **_ORIENTATION,
            "semantic_id": instance.instance_id,
            "is_collidable": True,
            "force_flat_shading": False,
        }
        _write_json(directory / "objects" / f"{_object_name(instance)}{_OBJECT_SUFFIX}", config)


def _write_scene(scene: Scene, directory: Path) -> None:
    objects = []
    for instance in scene.instances:
        T = habitat_transform(instance.T_world_object)
        if not np.isfinite(T).all():
            raise ValueError(f"instance {instance.instance_id}: expected a finite pose, got {T.tolist()}")
        x, y, z, w = quaternion_from_matrix(T[:3, :3]).tolist()
        pose = {
            "template_name": _object_name(instance),
            "translation": T[:3, 3].tolist(),
            "rotation": [w, x, y, z],
            "translation_origin": "ASSET_LOCAL",
            "motion_type": "STATIC",
            "semantic_id": instance.instance_id,
        }
        objects.append(pose)
    document = {
        "stage_instance": {"template_name": scene.name, "translation_origin": "ASSET_LOCAL"},
        "default_lighting": scene.name,
        "object_instances": objects,
    }
    _write_json(directory / "scenes" / f"{scene.name}{_SCENE_SUFFIX}", document)
    lights = {
        f"{i:03d}": {
            "position": habitat_points(np.array([light.position_m]))[0].tolist(),
            "color": list(light.color),
            "intensity": light.intensity * HABITAT_INTENSITY,
            "type": "point",
        }
        for i, light in enumerate(scene.lights)
    }
    _write_json(directory / "lighting" / f"{scene.name}{_LIGHT_SUFFIX}", {"lights": lights})
    notes = _Annotation(
        version=_VERSION,
        templates={handle: _thing(template) for handle, template in scene.templates.items()},
        instances=tuple(_place(instance) for instance in scene.instances),
        regions=scene.regions,
        doors=scene.doors,
        start_pose=scene.start_pose,
        ambient_rgb=scene.ambient_rgb,
        lamp_gain=scene.lamp_gain,
    )
    _write_json(directory / "annotations" / f"{scene.name}.json", msgspec.to_builtins(notes))


_ORIENTATION = {"up": [0.0, 1.0, 0.0], "front": [0.0, 0.0, -1.0], "units_to_meters": 1.0}


def _dataset_config() -> Dict[str, Any]:
    def folder(name: str) -> Dict[str, Any]:
        return {"paths": {".json": [name]}}

    return {
        "stages": folder("stages"),
        "objects": folder("objects"),
        "light_setups": folder("lighting"),
        "scene_instances": folder("scenes"),
    }


def _object_name(instance: Instance) -> str:
    return f"{instance.template}.{instance.instance_id:04d}"


def _asset_name(instance: Instance) -> str:
    state = f"~{round(1000 * instance.opened):04d}" if instance.opened > 0.0 else ""
    return f"{instance.template}{state}.glb"


def _thing(template: Template) -> _Thing:
    joints = {index: part.joint for index, part in enumerate(template.parts) if part.joint is not None}
    return _Thing(category=template.category, colour=template.colour, joints=joints)


def _place(instance: Instance) -> _Place:
    return _Place(
        instance_id=instance.instance_id,
        template=instance.template,
        support=instance.support,
        relation=instance.relation,
        opened=instance.opened,
    )


def _to_habitat(template: Template) -> Template:
    return _map_vertices(template, habitat_points)


def _write_json(path: Path, document: Any) -> None:
    path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")


# --------------------------------------------------------------------------------------------- reading


def _is_plain(name: str) -> bool:
    """Tell whether a name stays in its folder when it becomes a file's."""
    return bool(name) and name not in (".", "..") and not any(character in name for character in "/\\\0")


def _only_scene(directory: Path) -> str:
    names = sorted(path.name[: -len(_SCENE_SUFFIX)] for path in (directory / "scenes").glob(f"*{_SCENE_SUFFIX}"))
    if len(names) != 1:
        raise SceneError(f"dataset {directory}: expected one scene or a name, found {names}")
    return names[0]


def _load(path: Path, kind: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise SceneError(f"{path}: {error.strerror or error}") from error
    except msgspec.MsgspecError as error:
        raise SceneError(f"{path}: {error}") from error


def _read_template(path: Path, handle: str, thing: _Thing) -> Template:
    parts = list(read_glb(path))
    for index, joint in thing.joints.items():
        values = np.array([*joint.origin_m, *joint.axis, joint.travel])
        is_unit = abs(float(np.linalg.norm(joint.axis)) - 1.0) < 1e-6
        if not 0 <= index < len(parts) or not np.isfinite(values).all() or not is_unit:
            raise SceneError(f"{path}: a joint of part {index} that does not exist or has no finite unit axis")
        parts[index] = replace(parts[index], joint=joint)
    return _map_vertices(Template(handle, thing.category, thing.colour, tuple(parts)), world_points)


def _instance(name: str, pose: _Pose, place: _Place, templates: Dict[str, Template]) -> Instance:
    if place.template not in templates:
        raise SceneError(
            f"scene {name}: instance {place.instance_id} wants template {place.template!r}, which is missing"
        )
    expected = f"{place.template}.{place.instance_id:04d}"
    if pose.template_name != expected:
        raise SceneError(f"scene {name}: expected {expected!r} among the object instances, got {pose.template_name!r}")
    if not 0.0 <= place.opened <= 1.0:
        raise SceneError(f"scene {name}: instance {place.instance_id} is open by {place.opened}, not by 0 to 1")
    if place.relation not in ("on", "in"):
        raise SceneError(f"scene {name}: instance {place.instance_id} has relation {place.relation!r}")
    w, x, y, z = pose.rotation
    try:
        T = transform(matrix_from_quaternion(np.array([x, y, z, w])), np.array(pose.translation))
    except ValueError as error:
        raise SceneError(f"scene {name}: instance {place.instance_id}: {error}") from error
    if not np.isfinite(T).all():
        raise SceneError(f"scene {name}: instance {place.instance_id} has a pose that is not finite")
    relation: Literal["on", "in"] = "in" if place.relation == "in" else "on"
    return Instance(place.instance_id, place.template, world_transform(T), place.support, relation, place.opened)


def _check_supports(name: str, instances: Tuple[Instance, ...]) -> None:
    supports: Dict[int, int] = {instance.instance_id: instance.support for instance in instances}
    if len(supports) != len(instances) or any(not 1 <= i <= _MAX_INSTANCE_ID for i in supports):
        raise SceneError(f"scene {name}: instance ids are not distinct numbers from 1 to {_MAX_INSTANCE_ID}")
    for instance_id, support in supports.items():
        if support and support not in supports:
            raise SceneError(f"scene {name}: instance {instance_id} rests on {support}, which is missing")
        for _ in supports:
            support = supports.get(support, 0)
        if support:
            raise SceneError(f"scene {name}: instance {instance_id} rests on itself, over {support}")


def _light(light: _HabitatLight) -> Light:
    x, y, z = world_points(np.array([light.position]))[0].tolist()
    return Light((x, y, z), light.color, light.intensity / HABITAT_INTENSITY)


def _map_vertices(template: Template, mapping: Any) -> Template:
    parts = tuple(replace(part, vertices=mapping(part.vertices)) for part in template.parts)
    return replace(template, parts=parts)

"""Loads a dataset with the real lerobot. Runs in lerobot's own interpreter, which knows nothing of this project.

python lerobot_load.py DATASET: prints what it found as JSON.
"""

from __future__ import annotations

import json
import sys

from lerobot.datasets.lerobot_dataset import LeRobotDataset
from torch.utils.data import DataLoader


def main(root: str) -> None:
    dataset = LeRobotDataset("local/dataset", root=root)
    items = [dataset[index] for index in range(len(dataset))]
    pictures = {name: items[0][name] for name in dataset.meta.camera_keys}
    numbers = [name for name in dataset.features if name not in pictures]
    two = LeRobotDataset("local/dataset", root=root, episodes=[dataset.num_episodes - 1])
    fps = dataset.fps
    chunks = LeRobotDataset("local/dataset", root=root, delta_timestamps={"action": [k / fps for k in range(3)]})
    batch = next(iter(DataLoader(chunks, batch_size=4)))
    found = {
        "n_frames": len(dataset),
        "n_episodes": dataset.num_episodes,
        "fps": dataset.fps,
        "robot": dataset.meta.robot_type,
        "camera_keys": sorted(dataset.meta.camera_keys),
        "names": {name: dataset.meta.names[name] for name in ("observation.state", "action")},
        "tasks": [item["task"] for item in items],
        "columns": {name: [item[name].tolist() for item in items] for name in numbers},
        "shapes": {name: list(picture.shape) for name, picture in pictures.items()},
        "dtypes": {name: str(picture.dtype) for name, picture in pictures.items()},
        "means": {name: [float(item[name].float().mean()) for item in items] for name in pictures},
        "stats": {
            name: {key: value.tolist() for key, value in stats.items()} for name, stats in dataset.meta.stats.items()
        },
        "last_episode": len(two),
        "action_chunk": list(batch["action"].shape),
    }
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])

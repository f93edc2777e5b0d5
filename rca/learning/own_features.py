"""What a candidate shows itself: which signs, how surprising, against its replicas, and in numbers.

Groups (level 0 family, 1 evidence group, 2 name): ``shown`` presence; ``alone`` none of its replicas
shows it; ``many`` log count; ``surprise`` in thirds of a natural logarithm; ``of_service`` the same sign
on this very service; ``service`` and ``component`` who it is; ``amount`` sums, shares and leads over a
candidate's signs by source.
"""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np

from rca.learning.scene import Features, Scene
from rca.learning.tokens import NAME

# Thirds of a natural logarithm, so that a surprise of 1 in 20 weighs as much as presence.
SURPRISE_UNIT = 3.0


def add_signs(scene: Scene, features: tuple[Features, ...]) -> None:
    """Adds the groups ``shown``, ``alone``, ``many``, ``surprise``, ``of_service``, ``service``, ``component``."""
    for i, found in enumerate(features):
        service = scene.services[i]
        for token, count in scene.tokens[i].items():
            level, name = token
            found[f"shown{level}", name] = 1.0
            found[f"surprise{level}", name] = scene.surprise[i][token] / SURPRISE_UNIT
            found[f"of_service{level}", f"{service}|{name}"] = 1.0
            if scene.is_alone(i, token):
                found[f"alone{level}", name] = 1.0
            if level < NAME and count > 1:
                found[f"many{level}", name] = math.log(count)
        found["service", service] = 1.0
        found["component", scene.candidates[i]] = 1.0


def add_amounts(scene: Scene, features: tuple[Features, ...]) -> None:
    """Adds the group ``amount``: each sum as logarithm, share of all, share of the largest, lead, and contrast."""
    sums = _sums(scene)
    for name in sorted({name for one in sums for name in one}):
        values = np.array([one[name] for one in sums])
        total, most = float(values.sum()), float(values.max())
        single = int((values == most).sum()) == 1
        for i, value in enumerate(values.tolist()):
            found = features[i]
            if value:
                found["amount", f"{name} log"] = math.log1p(value) / 2.0
                found["amount", f"{name} share"] = value / total
                found["amount", f"{name} of most"] = value / most
                if value == most and single:
                    found["amount", f"{name} first"] = 1.0
            others = scene.siblings[i]
            contrast = value - float(values[list(others)].mean()) if others else 0.0
            if contrast:
                found["amount", f"{name} contrast"] = math.copysign(math.log1p(abs(contrast)), contrast) / 2.0


def _sums(scene: Scene) -> list[defaultdict[str, float]]:
    """Sums over the signs of each candidate, by name of the sum; all of them at least 0."""
    size = len(scene.candidates)
    found: list[defaultdict[str, float]] = [defaultdict(float) for _ in range(size)]
    for i, signs in enumerate(scene.signs):
        sums, seen = found[i], set()
        sums["untrained"] = float(scene.untrained[i])
        for sign in signs:
            sums[f"blame {sign.source}"] += max(float(scene.share[sign.event]), 0.0)
            token = sign.tokens[-1]
            if token in seen or token[0] != NAME:
                continue
            seen.add(token)
            spread = scene.spread[token]
            source, surprise, rarity = sign.source, sign.surprise, math.log(size / spread)
            sums[f"count {source}"] += 1.0
            sums[f"only here {source}"] += spread == 1
            sums[f"rarity {source}"] += rarity
            sums["rarity"] += rarity
            sums[f"surprise {source}"] += surprise
            sums[f"most surprise {source}"] = max(sums[f"most surprise {source}"], surprise)
            sums["surprise"] += surprise
            sums["shared surprise"] += surprise / spread
            sums[f"shared surprise {source}"] += surprise / spread
            sums["most shared surprise"] = max(sums["most shared surprise"], surprise / spread)
            if scene.is_alone(i, token):
                sums[f"alone {source}"] += 1.0
                sums["alone"] += 1.0
    return found


def add_context(scene: Scene) -> Features:
    """Features of the incident: which signs are seen anywhere, on which share of the candidates, on exactly one."""
    size = max(len(scene.candidates), 1)
    found: Features = {("context", "always"): 1.0}
    for (level, name), spread in scene.spread.items():
        if level < NAME:
            found["context", f"any {level} {name}"] = 1.0
            found["context", f"share {level} {name}"] = spread / size
            if spread == 1:
                found["context", f"one {level} {name}"] = 1.0
    found["context", "signs"] = math.log1p(sum(scene.spread.values())) / 4.0
    return found

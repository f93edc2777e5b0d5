"""Log lines: taken out of their envelopes, masked, and grouped into templates."""

from __future__ import annotations

from rca.logs.masks import Masks, load_masks
from rca.logs.messages import unwrap, unwrap_batch
from rca.logs.templates import TemplateMiner, template_keys

__all__ = ["Masks", "TemplateMiner", "load_masks", "template_keys", "unwrap", "unwrap_batch"]

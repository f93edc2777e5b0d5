"""What outlives an incident: topology over time, past incidents, feedback; kept in memory, SQLite or Neo4j."""

from rca.knowledge.base import Knowledge
from rca.knowledge.claims import Claims, ComponentClaim, DependencyClaim, KnownTopology
from rca.knowledge.opening import open_knowledge, open_store
from rca.knowledge.protocol import GraphStore, Rows
from rca.knowledge.questions import Answer
from rca.knowledge.records import Feedback, PastCause, PastEvent, PastIncident, PastLink, Resolution, Settled
from rca.knowledge.signature import Signature, signature_of

__all__ = [
    "Answer",
    "Claims",
    "ComponentClaim",
    "DependencyClaim",
    "Feedback",
    "GraphStore",
    "Knowledge",
    "KnownTopology",
    "PastCause",
    "PastEvent",
    "PastIncident",
    "PastLink",
    "Resolution",
    "Rows",
    "Settled",
    "Signature",
    "open_knowledge",
    "open_store",
    "signature_of",
]

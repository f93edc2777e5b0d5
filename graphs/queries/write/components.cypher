// name, source, valid_from, valid_to, last_seen, confidence, kind, host, replica_of, team, attributes
UNWIND $rows AS row
MATCH (c:RcaComponent {tenant: $tenant, name: row[0]})
MERGE (f:RcaFacts {tenant: $tenant, component: row[0], source: row[1], valid_from: row[2]})
ON CREATE SET f.fresh = true
SET f.valid_to = row[3], f.last_seen = row[4], f.confidence = row[5], f.kind = row[6], f.host = row[7],
    f.replica_of = row[8], f.team = row[9], f.attributes = row[10]
WITH c, f WHERE f.fresh
REMOVE f.fresh
CREATE (c)-[:HAS_FACTS]->(f)

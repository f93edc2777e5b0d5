// caller, callee, source, valid_from, valid_to, last_seen, confidence, weight
UNWIND $rows AS row
MATCH (a:RcaComponent {tenant: $tenant, name: row[0]})
MATCH (b:RcaComponent {tenant: $tenant, name: row[1]})
MERGE (a)-[d:DEPENDS_ON {source: row[2], valid_from: row[3]}]->(b)
SET d.valid_to = row[4], d.last_seen = row[5], d.confidence = row[6], d.weight = row[7]

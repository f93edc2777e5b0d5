// incident, rank, component, kind, score, confidence, sentence
UNWIND $rows AS row
MATCH (i:RcaIncident {tenant: $tenant, id: row[0]})
MATCH (c:RcaComponent {tenant: $tenant, name: row[2]})
MERGE (i)-[r:RANKED {rank: row[1]}]->(c)
ON CREATE SET r.kind = row[3], r.score = row[4], r.confidence = row[5], r.sentence = row[6]

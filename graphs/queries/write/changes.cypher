// id, component, kind, name, time, team, attributes
UNWIND $rows AS row
MERGE (g:RcaChange {tenant: $tenant, id: row[0]})
SET g.component = row[1], g.kind = row[2], g.name = row[3], g.time = row[4], g.team = row[5], g.attributes = row[6]
WITH g, row
OPTIONAL MATCH (g)-[old:CHANGED]->(c:RcaComponent) WHERE c.name <> row[1]
DELETE old
WITH DISTINCT g, row
MATCH (c:RcaComponent {tenant: $tenant, name: row[1]})
MERGE (g)-[:CHANGED]->(c)

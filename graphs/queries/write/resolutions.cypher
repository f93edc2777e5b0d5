// incident, by, at, text
UNWIND $rows AS row
MERGE (i:RcaIncident {tenant: $tenant, id: row[0]})
MERGE (r:RcaResolution {tenant: $tenant, incident: row[0], by: row[1], at: row[2]})
SET r.text = row[3]
MERGE (r)-[:RESOLVED]->(i)

// incident, by, at, verdict, component, kind, change, note
UNWIND $rows AS row
MERGE (i:RcaIncident {tenant: $tenant, id: row[0]})
MERGE (f:RcaFeedback {tenant: $tenant, incident: row[0], by: row[1], at: row[2]})
SET f.verdict = row[3], f.component = row[4], f.kind = row[5], f.change = row[6], f.note = row[7]
MERGE (f)-[:ABOUT]->(i)

// incident, number, id, component, kind, name, start, end, severity, direction, evidence, attributes
// Events do not change: what is there already stays.
UNWIND $rows AS row
OPTIONAL MATCH (old:RcaEvent {tenant: $tenant, incident: row[0], number: row[1]})
WITH row WHERE old IS NULL
MATCH (i:RcaIncident {tenant: $tenant, id: row[0]})
MATCH (c:RcaComponent {tenant: $tenant, name: row[3]})
CREATE (i)-[:HAS_EVENT]->(:RcaEvent {
  tenant: $tenant, incident: row[0], number: row[1], id: row[2], component: row[3], kind: row[4], name: row[5],
  start: row[6], end: row[7], severity: row[8], direction: row[9], evidence: row[10], attributes: row[11]
})-[:ON]->(c)

// Events of incidents whose old ones went in the same transaction, so that none of them can be there already.
// Rows grouped by incident: [incident, rows]; columns as in events.cypher.
UNWIND $groups AS group
MATCH (i:RcaIncident {tenant: $tenant, id: group[0]})
UNWIND group[1] AS row
MATCH (c:RcaComponent {tenant: $tenant, name: row[3]})
CREATE (i)-[:HAS_EVENT]->(:RcaEvent {
  tenant: $tenant, incident: row[0], number: row[1], id: row[2], component: row[3], kind: row[4], name: row[5],
  start: row[6], end: row[7], severity: row[8], direction: row[9], evidence: row[10], attributes: row[11]
})-[:ON]->(c)

// incident, component, role
UNWIND $rows AS row
MATCH (i:RcaIncident {tenant: $tenant, id: row[0]})
MATCH (c:RcaComponent {tenant: $tenant, name: row[1]})
MERGE (i)-[:TOUCHED {role: row[2]}]->(c)

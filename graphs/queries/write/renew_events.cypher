// Forget the events of incidents that are analysed again. $incidents
UNWIND $incidents AS id
MERGE (i:RcaIncident {tenant: $tenant, id: id})
SET i.id = id
WITH i
MATCH (i)-[:HAS_EVENT]->(e:RcaEvent)
DETACH DELETE e

// Forget what was said of incidents that are analysed again. $incidents
UNWIND $incidents AS id
MATCH (:RcaIncident {tenant: $tenant, id: id})-[r:RANKED|TOUCHED|SUSPECTS]->()
DELETE r

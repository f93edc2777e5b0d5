// What a Neo4j database (5.x and later, Community Edition suffices) is prepared with, by version.
// Applied before the first write to a database; (:RcaSchema).version tells how far.
// Labels begin with Rca: the Community Edition has one database, which others may use as well.
// Every node carries the property tenant, and is unique within it.

// version 1
CREATE CONSTRAINT rca_component IF NOT EXISTS FOR (n:RcaComponent) REQUIRE (n.tenant, n.name) IS UNIQUE;
CREATE CONSTRAINT rca_facts IF NOT EXISTS
  FOR (n:RcaFacts) REQUIRE (n.tenant, n.component, n.source, n.valid_from) IS UNIQUE;
CREATE INDEX rca_replicas IF NOT EXISTS FOR (n:RcaFacts) ON (n.tenant, n.replica_of);
CREATE CONSTRAINT rca_incident IF NOT EXISTS FOR (n:RcaIncident) REQUIRE (n.tenant, n.id) IS UNIQUE;
CREATE CONSTRAINT rca_event IF NOT EXISTS FOR (n:RcaEvent) REQUIRE (n.tenant, n.incident, n.number) IS UNIQUE;
CREATE CONSTRAINT rca_change IF NOT EXISTS FOR (n:RcaChange) REQUIRE (n.tenant, n.id) IS UNIQUE;
CREATE CONSTRAINT rca_feedback IF NOT EXISTS FOR (n:RcaFeedback) REQUIRE (n.tenant, n.incident, n.by, n.at) IS UNIQUE;
CREATE CONSTRAINT rca_resolution IF NOT EXISTS
  FOR (n:RcaResolution) REQUIRE (n.tenant, n.incident, n.by, n.at) IS UNIQUE;
CREATE CONSTRAINT rca_queue IF NOT EXISTS FOR (n:RcaQueue) REQUIRE (n.tenant, n.origin) IS UNIQUE;
CREATE INDEX rca_incident_start IF NOT EXISTS FOR (n:RcaIncident) ON (n.tenant, n.start);
CREATE INDEX rca_change_time IF NOT EXISTS FOR (n:RcaChange) ON (n.tenant, n.time);

"""The centre's page: what the bus says, for people. Nothing else imports the web library."""

"""Data deletion: contacts, accounts, and the requests of account owners that Meta passes on."""

"""fingerprint -> `Plan`: one rules file per task, a timing probe (torch only inside it)"""

"""Taking over what a LiteLLM proxy keeps: its rows become a plan, and the plan one transaction."""

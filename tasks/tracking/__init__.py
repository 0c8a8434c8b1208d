"""What is sent to MLflow once a run is finished."""

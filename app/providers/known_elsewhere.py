"""Names of providers that LiteLLM serves and this product does not."""

NOT_BUILT = frozenset(
    """
    a2a_agent ai21 ai21_chat aiml amazon_nova anthropic_text anyscale assemblyai auto_router aws_polly azure_text
    baseten bedrock_converse bedrock_mantle black_forest_labs brave_search bytez cerebras chatgpt charity_engine
    clarifai cloudflare codestral cohere_chat cometapi compactifai cursor custom custom_openai dashscope databricks
    datarobot deepgram deepinfra docker_model_runner dotprompt elevenlabs empower fal_ai featherless_ai friendliai
    galadriel gdm gigachat github github_copilot gradient_ai helicone heroku huggingface humanloop hyperbolic infinity
    jina_ai lambda_ai langfuse langgraph lemonade litellm_agent litellm_proxy llamafile llamagate manus maritalk
    meta_llama milvus minimax moonshot morph nano-gpt nebius nlp_cloud novita nscale nvidia_nim nvidia_riva oci
    oobabooga openai_like ovhcloud palm petals pg_vector poe predibase publicai ragflow recraft replicate runwayml
    s3_vectors sagemaker sagemaker_chat sagemaker_nova sambanova sap snowflake stability synthetic
    text-completion-codestral text-completion-openai topaz triton v0 vercel_ai_gateway vertex_ai_beta vllm volcengine
    voyage wandb watsonx watsonx_text xiaomi_mimo xinference zai
    """.split()  # noqa: SIM905  a list of a hundred short words
)
"""Providers that LiteLLM knows, and ours that are to come: an entry that names one is left out with a notice."""

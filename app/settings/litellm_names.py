"""The names that LiteLLM's configuration knows and Keyhouse does not honour: each is reported, none is an error."""

import re

TOP_LEVEL = frozenset(
    """
    a2a_agents agents assistant_settings callback_settings callbacks credential_list files_settings
    finetune_settings guardrails litellm_enterprise mcp_aliases mcp_servers mcp_tools policies policy_attachments
    prompts sandbox_settings search_tools skills ui_settings vector_store_registry vector_stores worker_registry
    """.split()  # noqa: SIM905  a list of words
)

ENTRY = frozenset({"blocked", "created_at", "created_by", "model_id", "model_group", "updated_at", "updated_by"})

LITELLM_PARAMS = frozenset(
    """
    additional_drop_params allowed_fails allowed_openai_params api_type assistant_continue_message audio
    auto_router_config auto_router_config_path auto_router_default_model auto_router_embedding_model
    aws_batch_role_arn aws_external_id aws_profile_name aws_role_name aws_s3_bucket_name aws_session_name
    aws_sts_endpoint aws_web_identity_token azure_ad_token_provider azure_password azure_scope azure_username
    cache cache_control_injection_points caching complexity_router_config
    configurable_clientside_auth_params context_window_fallbacks custom_prompt_dict default_api_key_rpm_limit
    default_api_key_tpm_limit dimensions drop_params encoding_format end_user extra_body fallbacks
    final_prompt_value force_timeout frequency_penalty function_call functions gcs_bucket_name guardrails
    hf_model_name id include initial_prompt_value input_type itpm keep_alive langfuse_host langfuse_public_key
    langfuse_secret litellm_credential_name litellm_metadata litellm_session_id litellm_trace_id logit_bias
    logprobs max_completion_tokens max_file_size_mb max_tokens
    merge_reasoning_content_in_choices metadata mock_response mock_timeout mock_tool_calls modalities
    model_config_id model_file_id_mapping n no_log num_ctx oci_fingerprint oci_key oci_key_file oci_region
    oci_tenancy oci_user ollama_format openai_version organization_id otpm parallel_tool_calls prediction
    presence_penalty preset_cache_key project prompt_id prompt_label prompt_variables prompt_version
    provider_specific_header proxy_server_request quality reasoning_effort response_format retry_policy
    retry_strategy reusable_credential_name roles router_tier s3_bucket_name safe_mode safety_identifier
    safety_settings seed service_tier size ssl_verify stop store stream stream_chunk_size stream_options
    supports_system_message tag_regex temperature text_completion thinking tiered_pricing token_url tool_choice tools
    top_k top_logprobs top_p update_user_config url use_litellm_proxy user user_continue_message vector_store_id
    verbosity voice watsonx_region_name web_search_options wx_region_name
    """.split()  # noqa: SIM905
)

MODEL_INFO = frozenset(
    """
    blocked created_at created_by credential_name db_model deprecation_date direct_access
    health_check_interval health_check_max_tokens
    health_check_reasoning_effort health_check_timeout health_check_voice key litellm_provider
    max_audio_length_hours max_audio_per_prompt max_document_chunks_per_query max_images_per_prompt max_pdf_size_mb
    max_query_tokens max_tokens_per_document_chunk max_video_length max_videos_per_prompt metadata
    original_max_budget output_vector_size provider_specific_entry rpm source supported_endpoints
    supported_environments supported_modalities supported_openai_params supported_output_modalities
    supported_regions team_id team_public_model_name tier tiered_pricing tool_use_system_prompt_tokens tpm
    updated_at updated_by
    """.split()  # noqa: SIM905
)

GENERAL_SETTINGS = frozenset(
    """
    admin_only_routes alert_to_webhook_url alert_type_config alerting_args alerting_threshold
    allow_client_side_credentials allow_requests_on_db_unavailable allow_user_auth allowed_ips allowed_routes
    always_include_stream_usage auto_redirect_ui_login_to_sso batch_rate_limiting
    block_robots completion_model control_plane_url coordinate_budget_duration custom_auth
    custom_auth_run_common_checks custom_key_generate custom_key_update custom_sso custom_ui_sso_sign_in_handler
    database_args database_connection_pool_limit database_connection_timeout database_extra_connection_params
    database_socket_timeout database_type default_end_user_params default_team_disabled
    disable_adding_master_key_hash_to_db disable_auto_add_proxy_server_to_prometheus disable_budget_reservation
    disable_end_user_cost_tracking disable_error_logs disable_master_key_return disable_prisma_schema_update
    disable_reset_budget disable_responses_id_security disable_retry_on_max_parallel_request_limit_error
    disable_spend_logs disable_spend_updates enable_jwt_auth enable_mcp_registry
    enable_oauth2_auth enable_oauth2_proxy_auth enable_openai_websocket enable_public_model_hub enforce_user_param
    enforced_file_expires_after enforced_params fail_closed_budget_enforcement failed_requests_alerting
    forward_client_headers_to_llm_api forward_llm_provider_auth_headers forward_openai_org_id
    global_max_parallel_requests google_kms health_check_concurrency
    health_check_staleness_threshold infer_model_from_keys jwt_public_key_ttl key_management_settings
    key_management_system litellm_jwtauth litellm_key_header_name max_parallel_requests max_request_size_mb
    max_response_size_mb maximum_spend_logs_cleanup_cron maximum_spend_logs_retention_interval
    maximum_spend_logs_retention_period mcp_client_side_auth_header_name mcp_internal_ip_ranges
    mcp_trusted_proxy_ranges moderation_model ms_teams_webhook_url num_retries oauth2_config_mappings otel
    override_prisma_engine pass_through_endpoints pass_through_request_timeout premium_user
    proxy_batch_polling_interval proxy_batch_write_at proxy_budget_rescheduler_max_time
    proxy_budget_rescheduler_min_time public_routes redis_url reject_clientside_metadata_tags require_team_for_keys
    required_body_params role_mappings role_permissions save_vector_store_logs service_callback slack_alerting
    spend_capture_rate_check spend_report_frequency store_model_in_db store_prompts_in_spend_logs
    supported_db_objects team_callback_params trusted_proxy_ranges ui_access_mode ui_theme_config
    uploaded_secret_names use_aiohttp_transport use_azure_key_vault use_chat_completions_url_for_anthropic_messages
    use_client_credentials_pass_through_routes use_google_kms use_redis_transaction_buffer use_shared_health_check
    use_x_forwarded_for user_api_key_cache_ttl user_header_mappings user_header_name user_mcp_management_mode
    """.split()  # noqa: SIM905
)

LITELLM_SETTINGS = frozenset(
    """
    _turn_on_debug add_function_to_prompt add_user_information_to_llm_headers aiohttp_trust_env
    anthropic_beta_headers_url api_base api_key argilla_dataset_name argilla_transformation_object
    audit_log_callbacks aws_sqs_callback_params azure_key block_requests_for_models_without_pricing
    budget_alert_ttl budget_reset_time cached_endpoints callbacks check_provider_endpoint client_session
    custom_prometheus_metadata_labels custom_prometheus_tags custom_provider_map datadog_llm_observability_params
    datadog_params default_in_memory_ttl default_internal_user_params default_key_generate_params
    default_max_internal_user_budget default_redis_batch_cache_expiry default_redis_ttl default_team_params
    default_team_settings disable_add_prefix_to_prompt disable_add_transform_inline_image_block
    disable_aiohttp_transport disable_aiohttp_trust_env disable_copilot_system_to_assistant disable_cost_tracking
    disable_end_user_cost_tracking disable_end_user_cost_tracking_prometheus_only disable_hf_tokenizer_download
    disable_stop_sequence_limit disable_streaming_logging disable_token_counter drop_params dynamodb_table_name
    email enable_azure_ad_token_refresh enable_cache enable_caching_on_provider_specific_optional_params
    enable_end_user_cost_tracking_prometheus_only enable_json_schema_validation
    enable_loadbalancing_on_batch_endpoints enable_preview_features enable_redis_auth_cache error_logs
    experimental_mcp_client expose_router_debug_in_errors extra_spend_tag_headers failed_requests failure_callback
    force_ipv4 forward_traceparent_to_llm_provider gcs_pub_sub_use_v1 generic_api_headers generic_logger_headers
    global_disable_no_log_param guardrail_name_config_map guardrails headers in_memory_llm_clients_cache
    include_cost_in_streaming_usage internal_user_budget_duration key_generation_settings langfuse_default_tags
    langsmith_batch_size llm_guard_mode local_cache log_raw_request_response logging_callback_manager
    max_internal_user_budget max_ui_session_budget max_user_budget maximum_request_timeout mcp_aliases
    mcp_semantic_tool_filter model_alias_map model_cost_map_url modify_params network_mock num_retries_per_request
    openai_key openai_moderations_model_name organization overwrite_user_with_key_hash post_call_rules
    pre_call_rules priority_reservation priority_reservation_settings prometheus_emit_stream_label
    prometheus_initialize_budget_metrics prometheus_latency_buckets prometheus_metrics_config prompts_directory
    provider_list public_agent_groups public_mcp_servers public_model_groups public_model_groups_links
    reasoning_auto_summary redact_messages_in_exceptions redact_user_api_key_info require_auth_for_metrics_endpoint
    responses_api responses_api_max_content_length retry return_response_headers route_all_chat_openai_to_responses
    s3_audit_callback_params s3_callback_params secret_fields secret_manager_client service_callback set_verbose
    skip_system_message_in_guardrail spend_logs ssl_certificate ssl_ecdh_curve ssl_security_level ssl_verify
    standard_logging_payload_excluded_fields store_audit_logs strict_provider_whitelist success_callback
    suppress_debug_info tag_budget_config telemetry timezone token turn_off_message_logging ui_theme_config
    upperbound_key_generate_params use_aiohttp_transport use_chat_completions_url_for_anthropic_messages use_client
    user_url_allowed_hosts user_url_validation vector_store_registry vertex_location vertex_project
    websearch_interception_params
    """.split()  # noqa: SIM905
)

CACHE_PARAMS = frozenset(
    """
    azure_account_url azure_blob_container default_in_memory_ttl default_in_redis_ttl disk_cache_dir
    enable_redis_gcp_iam_auth gcp_service_account gcp_ssl_ca_certs gcs_bucket_name gcs_path gcs_path_service_account
    host max_connections namespace password port qdrant_api_base qdrant_api_key qdrant_collection_name
    qdrant_quantization_config qdrant_semantic_cache_embedding_model redis_flush_size
    redis_semantic_cache_embedding_model redis_semantic_cache_index_name redis_startup_nodes s3_api_version
    s3_aws_access_key_id s3_aws_secret_access_key s3_aws_session_token s3_bucket_name s3_config s3_endpoint_url s3_path
    s3_region_name s3_use_ssl s3_verify sentinel_nodes sentinel_password service_name similarity_threshold
    socket_timeout ssl ssl_ca_certs ssl_cert_reqs ssl_certfile ssl_check_hostname ssl_keyfile url username
    """.split()  # noqa: SIM905
)

ROUTER_SETTINGS = frozenset(
    """
    alerting_config assistants_config cache_kwargs cache_responses caching_groups client_ttl
    debug_level default_litellm_params default_max_parallel_requests default_priority
    deployment_affinity_ttl_seconds
    guardrail_list health_check_ignore_transient_errors health_check_staleness_threshold
    ignore_invalid_deployments model_group_affinity_config
    polling_interval redis_db redis_host redis_password redis_port redis_startup_nodes
    redis_url redis_username router_general_settings routing_groups search_tools
    set_verbose
    """.split()  # noqa: SIM905
)

_PRICE = re.compile(
    r"(input|output)_cost_per_(token|reasoning_token|audio_token|image_token|video_token|character|second|image|pixel"
    r"|image_high|query|request|page|video_per_second|audio_per_second|video_per_frame|token_cache_hit|session|word)"
    r"(_above_\d+k_tokens|_above_\d+s_interval|_above_\d+s|_\d+p|_above_[\dx_a-z]+_pixels[a-z_]*|_premium_image)?"
    r"(_batches|_batch_requests|_flex|_priority|_fast)?"
    r"|cache_(read|creation)_input_(token|audio_token|image_token|video_token)_cost"
    r"(_above_\d+hr)?(_above_\d+k_tokens)?(_batches|_flex|_priority|_fast)?"
    r"|(ocr|annotation|credits)_cost_per_(page|credit)|code_interpreter_cost_per_session|citation_cost_per_token"
    r"|vector_store_cost_per_gb_per_day|file_search_cost_per_(1k_calls|gb_per_day)"
    r"|computer_use_(input|output)_cost_per_1k_tokens|(input|output)_dbu_cost_per_token|search_context_cost_per_query"
    r"|regional_processing_uplift_multiplier_(eu|us)|ptu_[a-z_]+",
    re.ASCII,
)
_SUPPORT = re.compile(r"supports_[a-z0-9_]+", re.ASCII)


def is_price_name(name: str) -> bool:
    """Whether LiteLLM has a price field of that name."""
    return _PRICE.fullmatch(name) is not None


def is_support_name(name: str) -> bool:
    """``supports_vision`` and the like are an open list in ``model_info``."""
    return _SUPPORT.fullmatch(name) is not None

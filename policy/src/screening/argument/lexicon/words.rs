//! The words.

use super::marks::*;

/// Words, and what they are known for. A word may be in several lists.
pub(super) const WORDS: [(Marks, &str); 36] = [
    (LOGIC, "or and xor div mod"),
    (NEGATION, "not binary distinct all"),
    (
        COMPARE,
        "like rlike regexp between in is glob similar sounds isnull notnull match contains ilike collate ilike \
        overlaps",
    ),
    (UNION, "union intersect except minus"),
    (SELECT, "select"),
    (
        STATEMENT,
        "select insert update delete drop create alter truncate exec execute declare shutdown grant revoke \
        merge replace call set use begin waitfor backup restore load copy rename kill dbcc handler do print if while \
        reconfigure bulk attach vacuum pragma explain describe show prepare deallocate",
    ),
    (
        CLAUSE,
        "from where having group order limit into procedure values join offset fetch top as end then else case",
    ),
    (
        FUNCTION,
        "pg_sleep benchmark extractvalue updatexml load_file concat_ws group_concat xp_cmdshell sp_executesql \
        load_extension lo_import lo_export lo_get pg_read_file pg_ls_dir utl_inaddr utl_http dbms_pipe dbms_lock \
        dbms_xmlgen dbms_ldap dbms_java ctxsys randomblob zeroblob sqlite_version sys_eval sys_exec \
        name_const make_set aes_encrypt aes_decrypt group_concat json_extract st_latfromgeohash \
        gtid_subset geometrycollection multipoint polygon multilinestring linestring multipolygon procedure_analyse \
        current_setting current_database current_user session_user system_user schema_name object_id db_name \
        user_name host_name is_srvrolemember has_dbaccess openrowset opendatasource opendataquery openquery \
        sys_context wm_concat xmltype query_to_xml database_to_xml string_agg array_to_string \
        convert_from lpad rpad ifnull nvl nullif coalesce unhex substr substring_index find_in_set \
        char_length character_length octet_length bit_length last_insert_id found_rows row_count get_lock \
        release_lock is_free_lock sqlite_compileoption_used current_catalog current_schema to_char to_number \
        to_hex chr isnull elt ord inet_ntoa iif connection_id make_interval starts_with generate_series quote_literal",
    ),
    (
        PLAIN_FUNCTION,
        "sleep version database user schema char ascii substring mid concat count hex md5 sha1 compress uncompress cast \
        convert if length len left right rand floor cos sin tan pi exp abs ceil round min max sum avg upper lower ucase \
        lcase replace reverse repeat space bin oct delay hash encode decode instr locate position strcmp field interval \
        extract date_add now curdate curtime sysdate getdate password crc32 uuid newid any some exists",
    ),
    (
        SYSTEM_NAME,
        "information_schema sysobjects syscolumns sysusers sysdatabases sqlite_master sqlite_schema \
        pg_catalog pg_shadow pg_user pg_database pg_class pg_stat_activity all_tables all_users all_tab_columns \
        user_tables user_tab_columns user_objects dba_users dba_tables dba_role_privs sysdummy1 sysibm syscat \
        mysql master msysobjects msysaces msysqueries msysaccessobjects v_version xp_cmdshell xp_regread xp_dirtree \
        xp_regwrite xp_servicecontrol xp_availablemedia xp_fileexist xp_enumdsn xp_loginconfig xp_makecab \
        xp_ntsec_enumdomains xp_terminate_process sp_password sp_configure sp_addextendedproc sp_oacreate sp_makewebtask \
        sp_addlogin sp_addsrvrolemember sp_helpdb sp_who sp_executesql sp_sqlexec sp_prepare sp_help sp_helptext \
        version_compile_os table_schema table_name column_name schemata sys_user_account database_principals nocase \
        utl_inaddr utl_http dbms_pipe dbms_lock dbms_ldap dbms_xmlgen rdb autocommit",
    ),
    (
        CONSTANT,
        "null true false current_user current_timestamp current_date user sysdate rownum utc_date utc_time \
        utc_timestamp localtime session_user system_user",
    ),
    (
        OBJECT,
        "table database schema index view user login procedure function trigger column role tablespace sequence \
        proc temporary outfile dumpfile servername all",
    ),
    (
        COMMAND,
        "wget curl ifconfig ipconfig netstat whoami systeminfo sysinfo nslookup uname chmod chown nc ncat \
        netcat bash powershell pwsh powershell_ise cscript wscript certutil bitsadmin regsvr32 rundll32 \
        mshta tasklist taskkill schtasks netsh arp sudo useradd adduser usermod crontab lsof phpinfo tcpdump \
        telnet tftp ssh scp rsync socat python2 python3 nodejs gcc zsh ksh csh tcsh busybox awk gawk mawk \
        sed xargs tar gzip gunzip bunzip2 unzip zcat bzcat xzcat base64 xxd mkfifo nohup setsid rm rmdir \
        mkdir printenv getent lsb_release dpkg pacman wmic psexec mysqldump pg_dump pgrep pkill ps ls vdir \
        egrep fgrep grep iwr iex hostname hostnamectl systemctl lynx sh ftp tcping traceroute tracert strace \
        ltrace gdb cmd attrib icacls cacls chgrp zstd zstdcat unxz unlzma openssl ngrep nmap killall \
        poweroff sysctl invoke umask dmesg lscpu lsblk findstr vssadmin",
    ),
    (
        PLAIN_COMMAND,
        "id dir echo type sleep ping w who find more less time sort at cd kill net top test date host set \
        tail head reg sc copy move del ren tree shutdown reboot halt touch cp mv ln df du free uptime last \
        history export printf print open vi vim nano ed ex ip watch wall mail mount fold cut tr nl od pr \
        paste tee install make node source exec eval system pwd ver vol wc diff file which whereis mysql \
        expr read yes true nice users man info split join look service command cat apt yum fish dash route \
        dig tac rev finger alias jobs python perl ruby php lua env passwd rename",
    ),
    (
        TAG,
        "script iframe object embed svg applet base frame frameset link meta style xss xml import isindex noscript \
        layer ilayer bgsound math feimage listener handler comment vmlframe foreignobject animate noembed portal",
    ),
    (SCRIPT_SCHEME, "javascript vbscript jscript livescript mocha vbs wscript"),
    (
        SCRIPT_FUNCTION,
        "alert confirm prompt eval settimeout setinterval setimmediate execscript msgbox fromcharcode \
        atob btoa expression behavior binding importscripts unescape decodeuricomponent sendbeacon xmlhttprequest fetch print call apply",
    ),
    (
        SCRIPT_OBJECT,
        "document window self top parent frames location globalthis localstorage sessionstorage navigator \
        history string reflect function this",
    ),
    (
        CODE_FUNCTION,
        "system exec passthru shell_exec popen proc_open pcntl_exec eval assert phpinfo base64_decode \
        file_get_contents file_put_contents fopen fwrite fsockopen readfile call_user_func call_user_func_array \
        create_function preg_replace gzinflate gzuncompress gzdecode str_rot13 array_map array_filter usort ini_set \
        ini_get putenv getenv phpversion php_uname posix_getpwuid unserialize include include_once require \
        require_once show_source highlight_file parse_ini_file move_uploaded_file spawn spawnsync execsync execfile \
        execfilesync compile getattr __import__ popen2 check_output subprocess runtime fork md5 print readlines \
        curl_exec curl_init opendir scandir glob bin2hex chr hex2bin \
        curl_multi_exec error_log dl invokeclosure create_instance __construct evalscript",
    ),
    (
        CODE_NAME,
        "child_process processbuilder scriptenginemanager runtimeexec constructor __proto__ prototype \
        xstream commonscollections clonetransformer invokertransformer forclosure instantiatetransformer \
        instantiatefactory prototypecloneFactory prototypeclonefactory whileclosure unmarshaller getruntime \
        unsafe_deserialize classloader memberaccess dispatchfilter xwork2 multipartcontent ognlcontext ognl \
        getclass forname newinstance defineclass getengine getenginebyname currentthread inputstreamreader \
        mlet o methodinvoke fileoutputstream fileinputstream bufferedreader bufferedinputstream \
        proc_open _server _get _post _request _cookie _session _files _env http_raw_post_data globals",
    ),
    (
        SECRET_FILE,
        "passwd inf git svn hg env ssh aws kube docker shadow issue hosts group sudoers crontab fstab motd resolv hostname environ cmdline \
        authorized_keys id_rsa id_dsa id_ed25519 known_hosts htaccess htpasswd bash_history bashrc boot win system \
        php my httpd apache2 nginx web wp config global machine sam security ntuser unattend sysprep access_log \
        error_log access error secrets credentials proftpd vsftpd sshd_config ssh_config gshadow services \
        server context tomcat version mounts fd self sysconfig profile mysql inetd rc networks protocols acct \
        lastlog wtmp utmp auth messages maillog secure dmesg xferlog cron syslog",
    ),
    (
        FOLDER,
        "etc proc var usr bin sbin root home opt windows winnt system32 inetpub log logs boot dev sys tmp \
        apache2 apache httpd nginx xampp users program lib local wwwroot www mysql php tomcat web conf conf_d \
        library volumes private repair drivers",
    ),
    (FILE_SCHEME, "file php phar zip glob expect zlib bzip2 rar ogg ssh2 ssh compress data"),
    (
        FORGED_SCHEME,
        "gopher dict ldap ldaps ldapi rmi iiop corba nds netdoc jar tftp sftp smb imap pop3 mailto telnet \
        ssh2 verb local_file mysql postgres redis dns iiopname corbaname nis unix php",
    ),
    (WEB_SCHEME, "http https ftp ftps ws wss url feed"),
    (
        LOCAL_HOST,
        "localhost localhost4 localhost6 localdomain metadata localtest lvh instance kubernetes nip sslip \
        xip burpcollaborator internal loopback ip6 ipv6 spoofed vcap vcap_me rancher",
    ),
    (
        TEMPLATE,
        "__class__ __mro__ __subclasses__ __globals__ __builtins__ __import__ __init__ __base__ __bases__ \
        __dict__ __getattribute__ __getitem__ _templatereference__context __self__ __code__ __reduce__ \
        lipsum cycler joiner url_for get_flashed_messages _self smarty freemarker",
    ),
    (
        TEMPLATE_OBJECT,
        "self config request app session settings _self _context dump process global root this class \
        t range loop attr namespace smarty php ex system exec env getenv applicationscope sessionscope requestscope \
        param header headers cookie initparam pagecontext facescontext xclass forms",
    ),
    (
        LOOKUP,
        "jndi lower upper env sys java date ctx main base64 script dns url log4j bundle map k8s docker web spring \
        const urldecoder urlencoder event marker structured sd file xml jvmrunargs properties",
    ),
    (
        MONGO,
        "ne gt gte lt lte nin in eq exists regex where or and not nor expr function jsonschema elemmatch all size mod \
        type text options comment slice inc set unset push pull rename accumulator lookup match group project \
        regexmatch db",
    ),
    (
        AXIS,
        "ancestor ancestor_or child descendant following preceding parent attribute namespace self node text \
        comment position last name local count string",
    ),
    (
        HEADER,
        "set content location http refresh transfer cookie status x host proxy cache access authorization link \
        connection vary etag expires www server strict",
    ),
    (DIRECTIVE, "exec include echo config printenv set fsize flastmod if elif else endif"),
    (
        EXTENSION,
        "php php3 php4 php5 phtml asp aspx jsp jspx cgi pl ini conf cfg log bak sql key pem inc txt old asa env \
        xml mdb db sh bat cmd dll exe config",
    ),
    (CLASS_PATH, "java javax com org sun net jdk javassist groovy jython oracle"),
    (
        ATTRIBUTE,
        "objectclass uid cn sn ou dc dn mail userpassword member memberof samaccountname givenname \
        distinguishedname displayname objectcategory password user username name gidnumber uidnumber",
    ),
];

/// `../../` in Base64, and the magic numbers of serialised Java objects.
pub(super) const ENCODINGS: [&[u8]; 5] = [b"li4vli4v", b"ro0ab", b"kztaau", b"cs7qaf", b"aced0005"];

/// How the names of events go on after `on`.
pub(super) const EVENTS: &str = "abort activ after anim aux before begin blur bounce can cell change click close composition \
    contex control copy cue cut dat dbl deact drag drop duration emptied end enter error exit fetch filter finish \
    focus form fullscreen gamepad gesture got hash help input invalid key language layout lo lost mark media message \
    mouse move mspointer net nomatch off online open orientation out overflow page paste pause play pointer popst \
    popover popup progress property ratechange react read redo release rep reset resize result reverse row rtc \
    scroll search security seek select show slot snap sound speech spin stalled start stop storage submit suspend \
    sync text time toggle touch track transition undo unhandled unload update upgrade url user valid visib volume vr \
    wait webkit wheel zoom";
